"""Softmax, its logarithm, and cross-entropy on it.

The row's largest value is subtracted first, so no exponential overflows. Rows are independent:
threads share them out.

    n, c   rows (samples), columns (classes)
"""
from cython.parallel cimport prange
from libc.math cimport log

from cnn_core.simd cimport VBYTES, vec, vecd, vecf, vfill, vstore
from cnn_core.threads cimport threads_for
from cnn_core.types cimport dim, real, same_shape
from cnn_core.vmath cimport exponential, vload_part, vstore_part


cdef enum:
    LANES = 16          # of the widest vector: partial results that do not wait for each other


cdef inline double exponentials(
    const real* x, real top, real* y, dim c, vec* lane,     # y or NULL; lane: only names a type
) noexcept nogil:
    """y = exp(x - top); return their sum, in double."""
    cdef double sums[LANES]
    cdef real e[LANES]
    cdef dim size = VBYTES // sizeof(real), i = 0, half = size // 2, k
    cdef vec v, t, zero
    vfill(t, top)
    vfill(zero, 0)
    for k in range(size):
        sums[k] = 0
    while i < c:
        vload_part(v, x + i, c - i)
        v = exponential(v - t)
        if y != NULL:
            vstore_part(y + i, v, c - i)
        vstore(e, zero)
        vstore_part(e, v, c - i)
        for k in range(size):
            sums[k] += e[k]
        i += size
    while half > 0:
        for k in range(half):
            sums[k] += sums[k + half]
        half //= 2
    return sums[0]


cdef double exponentials_of(const real* x, real top, real* y, dim c) noexcept nogil:
    if real is float:
        return exponentials(x, top, y, c, <vecf*> NULL)
    else:
        return exponentials(x, top, y, c, <vecd*> NULL)


cdef real largest(const real* x, dim c) noexcept nogil:
    """Return the largest number, or any if there is a NaN: the sum will be NaN then."""
    cdef real tops[LANES]
    cdef real top = x[0]
    cdef dim i = 0, k
    if c >= 2 * LANES:
        for k in range(LANES):
            tops[k] = x[k]
        while i + LANES <= c:
            for k in range(LANES):
                tops[k] = x[i + k] if x[i + k] > tops[k] else tops[k]
            i += LANES
        for k in range(LANES):
            top = tops[k] if tops[k] > top else top
    for k in range(i, c):
        top = x[k] if x[k] > top else top
    return top


cdef void softmax_row(const real* x, real* y, dim c) noexcept nogil:
    """y = exp(x - max(x)) / sum(exp(x - max(x)))."""
    cdef real scale = <real> (1 / exponentials_of(x, largest(x, c), y, c))
    cdef dim k
    for k in range(c):
        y[k] = y[k] * scale


cdef void log_softmax_row(const real* x, real* y, dim c) noexcept nogil:
    """y = x - max(x) - log(sum(exp(x - max(x))))."""
    cdef real top = largest(x, c)
    cdef real logarithm = <real> log(exponentials_of(x, top, <real*> NULL, c))
    cdef dim k
    for k in range(c):
        y[k] = (x[k] - top) - logarithm


cdef inline void cross_entropy_gradient_row(
    const real* log_p, const real* target, real scale, real* dx, dim c, vec* lane,
) noexcept nogil:
    """dx = scale (exp(log_p) sum(target) - target)."""
    cdef dim size = VBYTES // sizeof(real), i = 0, k
    cdef real total = 0
    cdef vec v, t, s, f
    for k in range(c):
        total = total + target[k]
    vfill(s, total)
    vfill(f, scale)
    while i < c:
        vload_part(v, log_p + i, c - i)
        vload_part(t, target + i, c - i)
        v = f * (exponential(v) * s - t)
        vstore_part(dx + i, v, c - i)
        i += size


def softmax(
    const real[:, ::1] x,       # in   (n, c)
    real[:, ::1] y,             # out  (n, c)
    bint logarithm=False,
):
    """Write exp(x) / sum(exp(x)) of each row, or the logarithm of that."""
    cdef dim n = x.shape[0], c = x.shape[1], i
    if not same_shape(&x.shape[0], &y.shape[0], 2):
        raise ValueError("x and y must have one shape")
    if n == 0 or c == 0:
        return
    for i in prange(n, nogil=True, schedule="static",
                    num_threads=threads_for(<double> n * (c * sizeof(real) / 3 + 20))):
        if logarithm:
            log_softmax_row(&x[i, 0], &y[i, 0], c)
        else:
            softmax_row(&x[i, 0], &y[i, 0], c)


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
    cdef double total, term
    if not (same_shape(&x.shape[0], &target.shape[0], 2) and loss.shape[0] == n
            and same_shape(&x.shape[0], &log_p.shape[0], 2) and c > 0):
        raise ValueError("x, target, log_p and loss do not belong to one loss")
    for i in prange(n, nogil=True, schedule="static",
                    num_threads=threads_for(<double> n * (c * sizeof(real) / 2 + 30))):
        log_softmax_row(&x[i, 0], &log_p[i, 0], c)
        total = 0
        for k in range(c):
            term = <double> target[i, k] * log_p[i, k]
            total = total - (term if target[i, k] != 0 else 0)
        loss[i] = <real> total


def cross_entropy_backward(
    const real[:, ::1] log_p,   # in   (n, c), as forward wrote it
    const real[:, ::1] target,  # in   (n, c)
    const real[::1] scale,      # in   (n,), gradient of what is minimised by each row's loss
    real[:, ::1] dx,            # out  (n, c)
):
    """Write scale * (softmax(x) * sum(target) - target) to ``dx``."""
    cdef dim n = log_p.shape[0], c = log_p.shape[1], i
    if not (same_shape(&log_p.shape[0], &target.shape[0], 2) and scale.shape[0] == n
            and same_shape(&log_p.shape[0], &dx.shape[0], 2)):
        raise ValueError("log_p, target, scale and dx do not belong to one loss")
    if c == 0:
        return
    for i in prange(n, nogil=True, schedule="static",
                    num_threads=threads_for(<double> n * (c * sizeof(real) / 2 + 20))):
        if real is float:
            cross_entropy_gradient_row(&log_p[i, 0], &target[i, 0], scale[i], &dx[i, 0], c,
                                       <vecf*> NULL)
        else:
            cross_entropy_gradient_row(&log_p[i, 0], &target[i, 0], scale[i], &dx[i, 0], c,
                                       <vecd*> NULL)
