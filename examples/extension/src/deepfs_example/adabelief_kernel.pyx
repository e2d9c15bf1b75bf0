"""The rule of AdaBelief: Adam with the variance of the gradient around m, not its square."""
from cnn_core.optimizer_rule cimport Piece, Settings, rule, run, splat, times
from cnn_core.simd cimport vec, vecd, vecf
from cnn_core.vmath cimport root


cdef inline void adabelief_rule(vec* w, vec g, vec* state, const Settings* s) noexcept nogil:
    """m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) (g - m)^2 + eps.

    w = w - lr m_scale m / (sqrt(v v_scale) + eps).
    """
    cdef double beta1 = s.k[0], beta2 = s.k[1], m_scale = s.k[2], v_scale = s.k[3], eps = s.k[4]
    cdef vec m = state[0], v = state[1], d
    m = times(beta1, m) + times(1 - beta1, g)
    d = g - m
    v = times(beta2, v) + times(1 - beta2, d * d) + splat(eps, d)
    w[0] = w[0] - times(s.lr * m_scale, m) / (root(times(v_scale, v)) + splat(eps, d))
    state[0] = m
    state[1] = v

cdef int run_adabelief(const Piece* p, vec* tag) noexcept nogil:
    return run(2, adabelief_rule[vec], p)           # 2: arrays of state

adabelief = rule("adabelief", run_adabelief[vecf], run_adabelief[vecd])
