"""One pass over the parameters per optimizer step: weights, gradients and state, read once.

All arrays are flat and of one length: a network's parameters lie in one buffer. Steps change
``w`` and the state in place. Numbers that do not change along the pass are computed in double
first; the pass itself is in the arrays' own precision. Threads share out blocks.
"""
from cython.parallel cimport prange
from libc.math cimport sqrt

from cnn_core.threads cimport threads_for
from cnn_core.types cimport blocks_of, dim, least, real

cdef extern from "<math.h>" nogil:
    float sqrtf(float x)

cdef enum:
    BLOCK = 8192        # entries per unit of work


cdef inline real root(real x) noexcept nogil:
    if real is float:
        return sqrtf(x)
    else:
        return sqrt(x)


cdef void sgd_block(real* w, const real* g, dim n, real lr) noexcept nogil:
    """w -= lr g."""
    cdef dim i
    for i in range(n):
        w[i] = w[i] - lr * g[i]


def sgd_step(
    real[::1] w,                        # in, out  (n,), parameters
    const real[::1] g,                  # in   (n,), gradients
    double lr,
):
    """Robbins and Monro (1951): a step against the gradient."""
    cdef dim n = w.shape[0], b
    if g.shape[0] != n:
        raise ValueError("w and g must have one length")
    for b in prange(blocks_of(n, BLOCK), nogil=True, schedule="static",
                    num_threads=threads_for(<double> n * sizeof(real) / 8)):
        sgd_block(&w[b * BLOCK], &g[b * BLOCK], least(BLOCK, n - b * BLOCK), <real> lr)


cdef void momentum_block(
    real* w, const real* g, real* v, dim n, real lr, real momentum,
) noexcept nogil:
    """v = momentum v - lr g; w += v."""
    cdef dim i
    for i in range(n):
        v[i] = momentum * v[i] - lr * g[i]
        w[i] = w[i] + v[i]


def momentum_step(
    real[::1] w, const real[::1] g,     # parameters, gradients
    real[::1] v,                        # in, out  (n,), velocity
    double lr, double momentum,
):
    """Polyak (1964), in the form of Sutskever et al. (2013)."""
    cdef dim n = w.shape[0], b
    if g.shape[0] != n or v.shape[0] != n:
        raise ValueError("w, g and v must have one length")
    for b in prange(blocks_of(n, BLOCK), nogil=True, schedule="static",
                    num_threads=threads_for(<double> n * sizeof(real) / 6)):
        momentum_block(&w[b * BLOCK], &g[b * BLOCK], &v[b * BLOCK], least(BLOCK, n - b * BLOCK),
                       <real> lr, <real> momentum)


cdef void adam_block(
    real* w, const real* g, real* m, real* v, dim n,
    real beta1, real rest1, real beta2, real rest2, real step, real scale, real eps,
) noexcept nogil:
    """m, v = running means of g and g^2; w -= step m / (scale sqrt(v) + eps)."""
    cdef dim i
    for i in range(n):
        m[i] = beta1 * m[i] + rest1 * g[i]
        v[i] = beta2 * v[i] + rest2 * (g[i] * g[i])
        w[i] = w[i] - step * m[i] / (scale * root(v[i]) + eps)


def adam_step(
    real[::1] w, const real[::1] g,     # parameters, gradients
    real[::1] m, real[::1] v,           # in, out  (n,), running means of g and of g*g
    double lr, double beta1, double beta2, double eps,
    Py_ssize_t t,                             # number of this step, from 1
):
    """Kingma and Ba (2014, arXiv:1412.6980), algorithm 1."""
    cdef dim n = w.shape[0], b
    cdef double step, scale
    if g.shape[0] != n or m.shape[0] != n or v.shape[0] != n:
        raise ValueError("w, g, m and v must have one length")
    if t < 1:
        raise ValueError("t must be at least 1")
    step = lr / (1 - beta1 ** t)
    scale = 1 / sqrt(1 - beta2 ** t)
    for b in prange(blocks_of(n, BLOCK), nogil=True, schedule="static",
                    num_threads=threads_for(<double> n * sizeof(real) / 4)):
        adam_block(&w[b * BLOCK], &g[b * BLOCK], &m[b * BLOCK], &v[b * BLOCK],
                   least(BLOCK, n - b * BLOCK), <real> beta1, <real> (1 - beta1), <real> beta2,
                   <real> (1 - beta2), <real> step, <real> scale, <real> eps)
