"""Softmax, its logarithm, and cross-entropy on it.

The row's largest value is subtracted first, so no exponential overflows. Rows are independent:
threads share them out.

    n, c   rows (samples), columns (classes)
"""
from cython.parallel cimport prange
from libc.math cimport exp, log

from cnn_core.threads cimport threads_for
from cnn_core.types cimport dim, real, same_shape

cdef extern from "<math.h>" nogil:
    float expf(float x)


cdef inline real exponential(real x) noexcept nogil:
    if real is float:
        return expf(x)
    else:
        return exp(x)


cdef void log_softmax_row(const real* x, real* y, dim c) noexcept nogil:
    """y = x - max(x) - log(sum(exp(x - max(x))))."""
    cdef dim k
    cdef real top = x[0]
    cdef double total = 0
    for k in range(1, c):
        if x[k] > top:
            top = x[k]
    for k in range(c):
        y[k] = x[k] - top
        total += exponential(y[k])
    for k in range(c):
        y[k] = y[k] - <real> log(total)


def log_softmax(
    const real[:, ::1] x,       # in   (n, c)
    real[:, ::1] y,             # out  (n, c)
):
    """Write the logarithm of the softmax of each row."""
    cdef dim n = x.shape[0], c = x.shape[1], i
    if not same_shape(&x.shape[0], &y.shape[0], 2):
        raise ValueError("x and y must have one shape")
    if n == 0 or c == 0:
        return
    for i in prange(n, nogil=True, schedule="static", num_threads=threads_for(<double> n * c * 4)):
        log_softmax_row(&x[i, 0], &y[i, 0], c)


def softmax(
    const real[:, ::1] x,       # in   (n, c)
    real[:, ::1] y,             # out  (n, c)
):
    """Write exp(x) / sum(exp(x)) of each row."""
    cdef dim n = x.shape[0], c = x.shape[1], i, k
    if not same_shape(&x.shape[0], &y.shape[0], 2):
        raise ValueError("x and y must have one shape")
    if n == 0 or c == 0:
        return
    for i in prange(n, nogil=True, schedule="static", num_threads=threads_for(<double> n * c * 8)):
        log_softmax_row(&x[i, 0], &y[i, 0], c)
        for k in range(c):
            y[i, k] = exponential(y[i, k])


def softmax_backward(
    const real[:, ::1] y,       # in   (n, c), the output
    const real[:, ::1] dy,      # in   (n, c)
    real[:, ::1] dx,            # out  (n, c)
):
    """Write y * (dy - sum(y * dy)) of each row to ``dx``."""
    cdef dim n = y.shape[0], c = y.shape[1], i, k
    cdef double dot
    if not (same_shape(&y.shape[0], &dy.shape[0], 2) and same_shape(&y.shape[0], &dx.shape[0], 2)):
        raise ValueError("y, dy and dx must have one shape")
    for i in prange(n, nogil=True, schedule="static", num_threads=threads_for(<double> n * c)):
        dot = 0
        for k in range(c):
            dot = dot + y[i, k] * dy[i, k]
        for k in range(c):
            dx[i, k] = y[i, k] * (dy[i, k] - <real> dot)


def cross_entropy_forward(
    const real[:, ::1] x,       # in   (n, c), logits
    const real[:, ::1] target,  # in   (n, c), weight of each class
    real[:, ::1] log_p,         # out  (n, c), log-softmax of x
    real[::1] loss,             # out  (n,)
):
    """Write -sum(target * log_softmax(x)) of each row; a class of weight 0 adds exactly 0."""
    cdef dim n = x.shape[0], c = x.shape[1], i, k
    cdef double total
    if not (same_shape(&x.shape[0], &target.shape[0], 2) and loss.shape[0] == n
            and same_shape(&x.shape[0], &log_p.shape[0], 2) and c > 0):
        raise ValueError("x, target, log_p and loss do not belong to one loss")
    for i in prange(n, nogil=True, schedule="static", num_threads=threads_for(<double> n * c * 5)):
        log_softmax_row(&x[i, 0], &log_p[i, 0], c)
        total = 0
        for k in range(c):
            if target[i, k] != 0:
                total = total - <double> target[i, k] * log_p[i, k]
        loss[i] = <real> total


def cross_entropy_backward(
    const real[:, ::1] log_p,   # in   (n, c), as forward wrote it
    const real[:, ::1] target,  # in   (n, c)
    const real[::1] scale,      # in   (n,), gradient of what is minimised by each row's loss
    real[:, ::1] dx,            # out  (n, c)
):
    """Write scale * (softmax(x) * sum(target) - target) to ``dx``."""
    cdef dim n = log_p.shape[0], c = log_p.shape[1], i, k
    cdef real total
    if not (same_shape(&log_p.shape[0], &target.shape[0], 2) and scale.shape[0] == n
            and same_shape(&log_p.shape[0], &dx.shape[0], 2)):
        raise ValueError("log_p, target, scale and dx do not belong to one loss")
    for i in prange(n, nogil=True, schedule="static", num_threads=threads_for(<double> n * c * 4)):
        total = 0
        for k in range(c):
            total = total + target[i, k]
        for k in range(c):
            dx[i, k] = scale[i] * (exponential(log_p[i, k]) * total - target[i, k])
