"""Activations: functions of one number, each above its derivative.

All arrays are flat and of one length. A derivative is computed from the output y, which the next
layer keeps anyway. Threads share out blocks.
"""
from cython.parallel cimport prange
from libc.math cimport exp, tanh

from cnn_core.threads cimport threads_for
from cnn_core.types cimport blocks_of, dim, least, real

cdef extern from "<math.h>" nogil:
    float expf(float x)
    float tanhf(float x)

cdef enum:
    BLOCK = 8192        # entries per unit of work


cdef void relu(const real* x, real* y, dim n) noexcept nogil:
    """y = x above 0, else 0; NaN stays NaN."""
    cdef dim i
    for i in range(n):
        y[i] = 0 if x[i] < 0 else x[i]


cdef void drelu(const real* y, const real* dy, real* dx, dim n) noexcept nogil:
    """dx = dy where y > 0, else 0."""
    cdef dim i
    cdef real g
    for i in range(n):
        g = dy[i]           # read in any case: a read under a condition does not vectorise
        dx[i] = g if y[i] > 0 else 0


cdef void sigmoid(const real* x, real* y, dim n) noexcept nogil:
    """y = 1 / (1 + exp(-x)), by the exponential that cannot overflow."""
    cdef dim i
    cdef real e
    for i in range(n):
        if real is float:
            e = expf(-x[i] if x[i] > 0 else x[i])
        else:
            e = exp(-x[i] if x[i] > 0 else x[i])
        y[i] = (1 if x[i] > 0 else e) / (1 + e)


cdef void dsigmoid(const real* y, const real* dy, real* dx, dim n) noexcept nogil:
    """dx = dy y (1 - y)."""
    cdef dim i
    for i in range(n):
        dx[i] = dy[i] * y[i] * (1 - y[i])


cdef void hyperbolic(const real* x, real* y, dim n) noexcept nogil:
    """y = tanh(x)."""
    cdef dim i
    for i in range(n):
        if real is float:
            y[i] = tanhf(x[i])
        else:
            y[i] = tanh(x[i])


cdef void dhyperbolic(const real* y, const real* dy, real* dx, dim n) noexcept nogil:
    """dx = dy (1 - y^2)."""
    cdef dim i
    for i in range(n):
        dx[i] = dy[i] * (1 - y[i] * y[i])


def relu_forward(
    const real[::1] x,      # in   (n,)
    real[::1] y,            # out  (n,)
):
    """Write max(x, 0) to ``y``."""
    cdef dim n = x.shape[0], b
    if y.shape[0] != n:
        raise ValueError("x and y must have one length")
    for b in prange(blocks_of(n, BLOCK), nogil=True, schedule="static",
                    num_threads=threads_for(<double> n * sizeof(real) / 10)):
        relu(&x[b * BLOCK], &y[b * BLOCK], least(BLOCK, n - b * BLOCK))


def relu_backward(
    const real[::1] y,      # in   (n,), the output
    const real[::1] dy,     # in   (n,)
    real[::1] dx,           # out  (n,)
):
    """Write dy where y > 0, else 0, to ``dx``."""
    cdef dim n = y.shape[0], b
    if dy.shape[0] != n or dx.shape[0] != n:
        raise ValueError("y, dy and dx must have one length")
    for b in prange(blocks_of(n, BLOCK), nogil=True, schedule="static",
                    num_threads=threads_for(<double> n * sizeof(real) / 8)):
        drelu(&y[b * BLOCK], &dy[b * BLOCK], &dx[b * BLOCK], least(BLOCK, n - b * BLOCK))


def sigmoid_forward(
    const real[::1] x,      # in   (n,)
    real[::1] y,            # out  (n,)
):
    """Write 1 / (1 + exp(-x)) to ``y``."""
    cdef dim n = x.shape[0], b
    if y.shape[0] != n:
        raise ValueError("x and y must have one length")
    for b in prange(blocks_of(n, BLOCK), nogil=True, schedule="static",
                    num_threads=threads_for(<double> n * 4)):
        sigmoid(&x[b * BLOCK], &y[b * BLOCK], least(BLOCK, n - b * BLOCK))


def sigmoid_backward(
    const real[::1] y,      # in   (n,), the output
    const real[::1] dy,     # in   (n,)
    real[::1] dx,           # out  (n,)
):
    """Write dy * y * (1 - y) to ``dx``."""
    cdef dim n = y.shape[0], b
    if dy.shape[0] != n or dx.shape[0] != n:
        raise ValueError("y, dy and dx must have one length")
    for b in prange(blocks_of(n, BLOCK), nogil=True, schedule="static",
                    num_threads=threads_for(<double> n * sizeof(real) / 8)):
        dsigmoid(&y[b * BLOCK], &dy[b * BLOCK], &dx[b * BLOCK], least(BLOCK, n - b * BLOCK))


def tanh_forward(
    const real[::1] x,      # in   (n,)
    real[::1] y,            # out  (n,)
):
    """Write tanh(x) to ``y``."""
    cdef dim n = x.shape[0], b
    if y.shape[0] != n:
        raise ValueError("x and y must have one length")
    for b in prange(blocks_of(n, BLOCK), nogil=True, schedule="static",
                    num_threads=threads_for(<double> n * 6)):
        hyperbolic(&x[b * BLOCK], &y[b * BLOCK], least(BLOCK, n - b * BLOCK))


def tanh_backward(
    const real[::1] y,      # in   (n,), the output
    const real[::1] dy,     # in   (n,)
    real[::1] dx,           # out  (n,)
):
    """Write dy * (1 - y * y) to ``dx``."""
    cdef dim n = y.shape[0], b
    if dy.shape[0] != n or dx.shape[0] != n:
        raise ValueError("y, dy and dx must have one length")
    for b in prange(blocks_of(n, BLOCK), nogil=True, schedule="static",
                    num_threads=threads_for(<double> n * sizeof(real) / 8)):
        dhyperbolic(&y[b * BLOCK], &dy[b * BLOCK], &dx[b * BLOCK], least(BLOCK, n - b * BLOCK))
