"""The rules of optimizers: one pass over weights, gradients and state, each read and written once.

For every entry, with the settings of its group (lr is that of the step times its own):

    g = clamp(factor g, bound) + l2 w + l1 sign(w)
    w = (1 - lr decay) w
    w, state = rule(w, g, state)
    w = w - clamp(w, lr shrink)                 the proximal step of L1: zeros are exact

A rule gets vectors: pointers to w and to its state, and g as above. How to write one: see
`optimizer_rule.pxd`, which holds the rest.
"""
from libc.string cimport memset

from cnn_core.optimizer_rule cimport (
    ANY_LENGTH, FACTOR_FIRST, READS_STATE, WRITES_SUMS, Piece, Settings, rule, run, splat, times,
)
from cnn_core.simd cimport vec, vecd, vecf
from cnn_core.types cimport dim, real
from cnn_core.vmath cimport absolute, at_least, greater_of, root, sign_of

cdef enum:
    NORM_SUMS = 16          # partial sums of a norm


cdef inline void sgd_rule(vec* w, vec g, vec* state, const Settings* s) noexcept nogil:
    """w = w - lr g."""
    w[0] = w[0] - times(s.lr, g)

cdef int run_sgd(const Piece* p, vec* tag) noexcept nogil:
    return run(FACTOR_FIRST, sgd_rule[vec], p)

sgd = rule("sgd", run_sgd[vecf], run_sgd[vecd])


cdef inline void momentum_rule(vec* w, vec g, vec* state, const Settings* s) noexcept nogil:
    """v = alpha v - lr g;  w = w + v."""
    cdef double alpha = s.k[0]
    cdef vec v = state[0]
    v = times(alpha, v) - times(s.lr, g)
    w[0] = w[0] + v
    state[0] = v

cdef int run_momentum(const Piece* p, vec* tag) noexcept nogil:
    return run(1 | FACTOR_FIRST, momentum_rule[vec], p)

momentum = rule("momentum", run_momentum[vecf], run_momentum[vecd])


cdef inline void dampened_momentum_rule(
    vec* w, vec g, vec* state, const Settings* s,
) noexcept nogil:
    """v = alpha v + (1 - dampening) g;  w = w - lr v."""
    cdef double alpha = s.k[0], dampening = s.k[1]
    cdef vec v = state[0]
    v = times(alpha, v) + times(1 - dampening, g)
    w[0] = w[0] - times(s.lr, v)
    state[0] = v

cdef int run_dampened_momentum(const Piece* p, vec* tag) noexcept nogil:
    return run(1 | FACTOR_FIRST, dampened_momentum_rule[vec], p)

dampened_momentum = rule(
    "dampened_momentum", run_dampened_momentum[vecf], run_dampened_momentum[vecd])


cdef inline void nesterov_rule(vec* w, vec g, vec* state, const Settings* s) noexcept nogil:
    """v = alpha v - lr g;  w = w + alpha v - lr g."""
    cdef double alpha = s.k[0]
    cdef vec v = state[0]
    v = times(alpha, v) + times(-s.lr, g)   # -lr: no common product, two fused multiply-adds
    w[0] = w[0] + times(alpha, v) - times(s.lr, g)
    state[0] = v

cdef int run_nesterov(const Piece* p, vec* tag) noexcept nogil:
    return run(1 | FACTOR_FIRST, nesterov_rule[vec], p)

nesterov = rule("nesterov", run_nesterov[vecf], run_nesterov[vecd])


cdef inline void squares_rule(vec* w, vec g, vec* state, const Settings* s) noexcept nogil:
    """v = keep v + gain g^2;  w = w - lr g / (sqrt(v) + eps)."""
    cdef double keep = s.k[0], gain = s.k[1], eps = s.k[2]  # RMSProp: rho, 1 - rho; AdaGrad: 1, 1
    cdef vec v = state[0]
    v = times(keep, v) + times(gain, g * g)
    w[0] = w[0] - times(s.lr, g / (root(v) + splat(eps, v)))
    state[0] = v

cdef int run_squares(const Piece* p, vec* tag) noexcept nogil:
    return run(1 | FACTOR_FIRST, squares_rule[vec], p)

squares = rule("squares", run_squares[vecf], run_squares[vecd])


cdef inline void squares_momentum_rule(vec* w, vec g, vec* state, const Settings* s) noexcept nogil:
    """v as in `squares`;  b = mu b + g / (sqrt(v) + eps);  w = w - lr b."""
    cdef double keep = s.k[0], gain = s.k[1], eps = s.k[2], mu = s.k[3]
    cdef vec v = state[0], b = state[1]
    v = times(keep, v) + times(gain, g * g)
    b = times(mu, b) + g / (root(v) + splat(eps, v))
    w[0] = w[0] - times(s.lr, b)
    state[0], state[1] = v, b

cdef int run_squares_momentum(const Piece* p, vec* tag) noexcept nogil:
    return run(2, squares_momentum_rule[vec], p)

squares_momentum = rule("squares_momentum", run_squares_momentum[vecf], run_squares_momentum[vecd])


cdef inline void centered_rule(vec* w, vec g, vec* state, const Settings* s) noexcept nogil:
    """v as in `squares`;  m = keep m + gain g;  w = w - lr g / (sqrt(v - m^2) + eps)."""
    cdef double keep = s.k[0], gain = s.k[1], eps = s.k[2]
    cdef vec v = state[0], m = state[1]
    v = times(keep, v) + times(gain, g * g)
    m = times(keep, m) + times(gain, g)
    # only rounding takes v - m^2 below 0
    w[0] = w[0] - times(s.lr, g / (root(at_least(v - m * m, 0)) + splat(eps, v)))
    state[0], state[1] = v, m

cdef int run_centered(const Piece* p, vec* tag) noexcept nogil:
    return run(2, centered_rule[vec], p)

centered = rule("centered", run_centered[vecf], run_centered[vecd])


cdef inline void centered_momentum_rule(
    vec* w, vec g, vec* state, const Settings* s,
) noexcept nogil:
    """v and m as in `centered`;  b = mu b + g / (sqrt(v - m^2) + eps);  w = w - lr b."""
    cdef double keep = s.k[0], gain = s.k[1], eps = s.k[2], mu = s.k[3]
    cdef vec v = state[0], m = state[1], b = state[2]
    v = times(keep, v) + times(gain, g * g)
    m = times(keep, m) + times(gain, g)
    b = times(mu, b) + g / (root(at_least(v - m * m, 0)) + splat(eps, v))
    w[0] = w[0] - times(s.lr, b)
    state[0], state[1], state[2] = v, m, b

cdef int run_centered_momentum(const Piece* p, vec* tag) noexcept nogil:
    return run(3, centered_momentum_rule[vec], p)

centered_momentum = rule(
    "centered_momentum", run_centered_momentum[vecf], run_centered_momentum[vecd])


cdef inline void adadelta_rule(vec* w, vec g, vec* state, const Settings* s) noexcept nogil:
    """h = rho h + (1 - rho) g^2;  u = sqrt(d + eps) / sqrt(h + eps) g;
    d = rho d + (1 - rho) u^2;  w = w - lr u."""
    cdef double rho = s.k[0]
    cdef vec h = state[0], d = state[1], eps = splat(s.k[1], g), u
    h = times(rho, h) + times(1 - rho, g * g)
    u = root(d + eps) / root(h + eps) * g
    d = times(rho, d) + times(1 - rho, u * u)
    w[0] = w[0] - times(s.lr, u)
    state[0], state[1] = h, d

cdef int run_adadelta(const Piece* p, vec* tag) noexcept nogil:
    return run(2, adadelta_rule[vec], p)

adadelta = rule("adadelta", run_adadelta[vecf], run_adadelta[vecd])


cdef inline void adam_rule(vec* w, vec g, vec* state, const Settings* s) noexcept nogil:
    """m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2;
    w = w - lr (m_scale m + g_scale g) / (root_scale sqrt(v) + eps)."""
    # Adam: m_scale = 1 / (1 - beta1^t), g_scale = 0, root_scale = 1 / sqrt(1 - beta2^t)
    cdef double beta1 = s.k[0], beta2 = s.k[1]
    cdef double m_scale = s.k[2], g_scale = s.k[3], root_scale = s.k[4], eps = s.k[5]
    cdef vec m = state[0], v = state[1]
    m = times(beta1, m) + times(1 - beta1, g)
    v = times(beta2, v) + times(1 - beta2, g * g)
    w[0] = w[0] - (times(s.lr * m_scale, m) + times(s.lr * g_scale, g)) / (
        times(root_scale, root(v)) + splat(eps, v))
    state[0], state[1] = m, v

cdef int run_adam(const Piece* p, vec* tag) noexcept nogil:
    return run(2, adam_rule[vec], p)

adam = rule("adam", run_adam[vecf], run_adam[vecd])


cdef inline void amsgrad_rule(vec* w, vec g, vec* state, const Settings* s) noexcept nogil:
    """m, v as in `adam`;  v_max = max(v_max, v);
    w = w - lr m_scale m / (root_scale sqrt(v_max) + eps)."""
    cdef double beta1 = s.k[0], beta2 = s.k[1], m_scale = s.k[2], root_scale = s.k[3], eps = s.k[4]
    cdef vec m = state[0], v = state[1], v_max = state[2]
    m = times(beta1, m) + times(1 - beta1, g)
    v = times(beta2, v) + times(1 - beta2, g * g)
    v_max = greater_of(v_max, v)
    w[0] = w[0] - times(s.lr * m_scale, m) / (times(root_scale, root(v_max)) + splat(eps, v))
    state[0], state[1], state[2] = m, v, v_max

cdef int run_amsgrad(const Piece* p, vec* tag) noexcept nogil:
    return run(3, amsgrad_rule[vec], p)

amsgrad = rule("amsgrad", run_amsgrad[vecf], run_amsgrad[vecd])


cdef inline void adamax_rule(vec* w, vec g, vec* state, const Settings* s) noexcept nogil:
    """m = beta1 m + (1 - beta1) g;  u = max(beta2 u, abs(g) + eps);  w = w - lr m_scale m / u."""
    cdef double beta1 = s.k[0], beta2 = s.k[1], m_scale = s.k[2], eps = s.k[3]
    cdef vec m = state[0], u = state[1]
    m = times(beta1, m) + times(1 - beta1, g)
    u = greater_of(times(beta2, u), absolute(g) + splat(eps, u))
    w[0] = w[0] - times(s.lr * m_scale, m) / u
    state[0], state[1] = m, u

cdef int run_adamax(const Piece* p, vec* tag) noexcept nogil:
    return run(2, adamax_rule[vec], p)

adamax = rule("adamax", run_adamax[vecf], run_adamax[vecd])


cdef inline void lion_rule(vec* w, vec g, vec* state, const Settings* s) noexcept nogil:
    """w = w - lr sign(beta1 m + (1 - beta1) g);  m = beta2 m + (1 - beta2) g."""
    cdef double beta1 = s.k[0], beta2 = s.k[1]
    cdef vec m = state[0]
    w[0] = w[0] - times(s.lr, sign_of(times(beta1, m) + times(1 - beta1, g)))
    state[0] = times(beta2, m) + times(1 - beta2, g)

cdef int run_lion(const Piece* p, vec* tag) noexcept nogil:
    return run(1, lion_rule[vec], p)

lion = rule("lion", run_lion[vecf], run_lion[vecd])


cdef inline vec lamb_update(vec w, vec* state, const Settings* s) noexcept nogil:
    """Return u = m_scale m / (root_scale sqrt(v) + eps) + decay w."""
    cdef double m_scale = s.k[2], root_scale = s.k[3], eps = s.k[4]
    cdef vec m = state[0], v = state[1]
    return times(m_scale, m) / (times(root_scale, root(v)) + splat(eps, v)) + times(s.decay, w)


cdef inline void lamb_moments_rule(vec* w, vec g, vec* state, const Settings* s) noexcept nogil:
    """m, v as in `adam`. First half of LAMB: squares of w and u are summed, w is not written."""
    cdef double beta1 = s.k[0], beta2 = s.k[1]
    state[0] = times(beta1, state[0]) + times(1 - beta1, g)
    state[1] = times(beta2, state[1]) + times(1 - beta2, g * g)
    w[0] = lamb_update(w[0], state, s)

cdef int run_lamb_moments(const Piece* p, vec* tag) noexcept nogil:
    return run(2 | WRITES_SUMS, lamb_moments_rule[vec], p)

lamb_moments = rule("lamb_moments", run_lamb_moments[vecf], run_lamb_moments[vecd])


cdef inline void lamb_rule(vec* w, vec g, vec* state, const Settings* s) noexcept nogil:
    """w = w - lr factor u, with u of `lamb_update`. Second half of LAMB."""
    w[0] = w[0] - times(s.factor * s.lr, lamb_update(w[0], state, s))

cdef int run_lamb(const Piece* p, vec* tag) noexcept nogil:
    return run(2 | READS_STATE, lamb_rule[vec], p)

lamb = rule("lamb", run_lamb[vecf], run_lamb[vecd])


cdef double square_sum(const real* x, dim n) noexcept nogil:
    """Return the sum of squares, in double."""
    cdef double part[NORM_SUMS]
    cdef double total = 0
    cdef dim i, j
    memset(part, 0, sizeof(part))
    for i in range(n // NORM_SUMS):
        for j in range(NORM_SUMS):
            part[j] += <double> x[i * NORM_SUMS + j] * x[i * NORM_SUMS + j]
    for i in range(n // NORM_SUMS * NORM_SUMS, n):
        part[0] += <double> x[i] * x[i]
    for j in range(NORM_SUMS):
        total += part[j]
    return total


cdef int run_norm(const Piece* p, vec* tag) noexcept nogil:
    """The sum of the squares of g; nothing is changed."""
    if p == NULL:
        return WRITES_SUMS | ANY_LENGTH
    if vec is vecf:
        p.sums[0] = square_sum(<const float*> p.g, p.nbytes // <dim> sizeof(float))
    else:
        p.sums[0] = square_sum(<const double*> p.g, p.nbytes // <dim> sizeof(double))
    return WRITES_SUMS | ANY_LENGTH

norm = rule("norm", run_norm[vecf], run_norm[vecd])
