"""Softmax, its logarithm, cross-entropy on it, and whether the largest is that of the right class.

The row's largest value is subtracted first, so no exponential overflows. Rows are independent:
threads share them out.

    n, c   rows (samples), columns (classes)
"""
from cython.parallel cimport prange
from libc.math cimport log
from libc.stdint cimport int64_t

from cnn_core.simd cimport MAX_LANES, lanes, vec, vecd, vecf, vfill, vload_tail, vstore, vstore_tail
from cnn_core.threads cimport FloatMode, flush_denormals, threads_for
from cnn_core.types cimport dim, real, same_shape
from cnn_core.vmath cimport exponential


cdef inline double exponentials(
    const real* x, real top, real* y, dim c, vec* tag,      # y or NULL; tag: NULL, names a type
) noexcept nogil:
    """y = exp(x - top); return their sum, in double."""
    cdef double sums[MAX_LANES]
    cdef real e[MAX_LANES]
    cdef dim size = lanes(sizeof(real)), i = 0, half = size // 2, k
    cdef vec v, t
    vfill(t, top)
    for k in range(size):
        sums[k] = 0
    while i < c:
        vload_tail(v, x + i, c - i)
        v = exponential(v - t)
        if y != NULL:
            vstore_tail(y + i, v, c - i)
        vstore(e, v)
        if i + size <= c:
            for k in range(size):
                sums[k] += e[k]
        else:
            for k in range(c - i):
                sums[k] += e[k]
        i += size
    while half > 0:
        for k in range(half):
            sums[k] += sums[k + half]
        half //= 2
    return sums[0]


cdef inline dim class_of(const int64_t* label, dim c) noexcept nogil:
    """Return a label, read once, or 0 if it is no class.

    The labels were checked, but no lock keeps others from writing to their array since.
    """
    cdef int64_t k = (<const volatile int64_t*> label)[0]
    return k if 0 <= k < c else 0


cdef double exponentials_of(const real* x, real top, real* y, dim c) noexcept nogil:
    if real is float:
        return exponentials(x, top, y, c, <vecf*> NULL)
    else:
        return exponentials(x, top, y, c, <vecd*> NULL)


cdef real largest(const real* x, dim c) noexcept nogil:
    """Return the largest number, or any if there is a NaN: the sum will be NaN then."""
    cdef real tops[MAX_LANES]
    cdef real top = x[0]
    cdef dim i = 0, k
    if c >= 2 * MAX_LANES:
        for k in range(MAX_LANES):
            tops[k] = x[k]
        while i + MAX_LANES <= c:
            for k in range(MAX_LANES):
                tops[k] = x[i + k] if x[i + k] > tops[k] else tops[k]
            i += MAX_LANES
        for k in range(MAX_LANES):
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


cdef void softmax_gradient_row(
    const real* y, const real* dy, real* dx, dim c,
) noexcept nogil:
    """dx = y (dy - sum(y dy))."""
    cdef double dot = 0
    cdef dim k
    for k in range(c):
        dot = dot + y[k] * dy[k]
    for k in range(c):
        dx[k] = y[k] * (dy[k] - <real> dot)


cdef void log_softmax_row(const real* x, real* y, dim c) noexcept nogil:
    """y = x - max(x) - log(sum(exp(x - max(x))))."""
    cdef real top = largest(x, c)
    cdef real logarithm = <real> log(exponentials_of(x, top, <real*> NULL, c))
    cdef dim k
    for k in range(c):
        y[k] = (x[k] - top) - logarithm


cdef inline void log_softmax_gradient(
    const real* y, const real* dy, real* dx, dim c, vec* tag,
) noexcept nogil:
    cdef dim size = lanes(sizeof(real)), i = 0, k
    cdef double total = 0
    cdef vec v, g, s
    for k in range(c):
        total += dy[k]
    vfill(s, total)
    while i < c:
        vload_tail(v, y + i, c - i)
        vload_tail(g, dy + i, c - i)
        v = g - exponential(v) * s
        vstore_tail(dx + i, v, c - i)
        i += size


cdef void log_softmax_gradient_row(
    const real* y, const real* dy, real* dx, dim c,
) noexcept nogil:
    """dx = dy - exp(y) sum(dy)."""
    if real is float:
        log_softmax_gradient(y, dy, dx, c, <vecf*> NULL)
    else:
        log_softmax_gradient(y, dy, dx, c, <vecd*> NULL)


cdef double cross_entropy_row(
    const real* x, const real* target, dim label, real* p, dim c,   # target: NULL for a label
) noexcept nogil:
    """p = softmax(x); return -sum(target log(p)) or -log(p[label])."""
    cdef double top = largest(x, c), total = exponentials_of(x, <real> top, p, c)
    cdef double logarithm = log(total), loss = 0
    cdef real scale = <real> (1 / total)
    cdef dim k
    for k in range(c):
        p[k] = p[k] * scale
    if target == NULL:
        return logarithm - (x[label] - top)
    for k in range(c):
        if target[k] != 0:
            loss = loss + target[k] * (logarithm - (x[k] - top))
    return loss


cdef inline void cross_entropy_gradient(
    const real* p, const real* target, dim label, real scale, real* dx, dim c, vec* tag,
) noexcept nogil:
    cdef dim size = lanes(sizeof(real)), i = 0, k
    cdef real total = 0
    cdef vec v, t, s, f
    if scale == 0:
        for k in range(c):
            dx[k] = 0
        return
    vfill(f, scale)
    if target == NULL:
        while i < c:
            vload_tail(v, p + i, c - i)
            v = f * v
            vstore_tail(dx + i, v, c - i)
            i += size
        dx[label] = scale * (p[label] - 1)
        return
    for k in range(c):
        total = total + target[k]
    vfill(s, total)
    while i < c:
        vload_tail(v, p + i, c - i)
        vload_tail(t, target + i, c - i)
        v = f * (v * s - t)
        vstore_tail(dx + i, v, c - i)
        i += size


cdef void cross_entropy_gradient_row(
    const real* p, const real* target, dim label, real scale, real* dx, dim c,
) noexcept nogil:
    """dx = scale (p sum(target) - target), or scale (p - 1 at the label); 0 where scale is."""
    if real is float:
        cross_entropy_gradient(p, target, label, scale, dx, c, <vecf*> NULL)
    else:
        cross_entropy_gradient(p, target, label, scale, dx, c, <vecd*> NULL)


def softmax(
    const real[:, ::1] x,       # in   (n, c)
    real[:, ::1] y,             # out  (n, c)
    bint logarithm=False,
):
    """Write exp(x) / sum(exp(x)) of each row, or the logarithm of that."""
    cdef FloatMode _mode = flush_denormals()
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
    bint logarithm=False,
):
    """Write y * (dy - sum(y * dy)) of each row to ``dx``, or dy - exp(y) * sum(dy)."""
    cdef FloatMode _mode = flush_denormals()
    cdef dim n = y.shape[0], c = y.shape[1], i
    if not (same_shape(&y.shape[0], &dy.shape[0], 2) and same_shape(&y.shape[0], &dx.shape[0], 2)):
        raise ValueError("y, dy and dx must have one shape")
    if c == 0:
        return
    for i in prange(n, nogil=True, schedule="static", num_threads=threads_for(<double> n * c)):
        if logarithm:
            log_softmax_gradient_row(&y[i, 0], &dy[i, 0], &dx[i, 0], c)
        else:
            softmax_gradient_row(&y[i, 0], &dy[i, 0], &dx[i, 0], c)


def cross_entropy_forward(
    const real[:, ::1] x,           # in   (n, c), logits
    const int64_t[::1] label,       # in   (n,), the right class; or None
    const real[:, ::1] target,      # in   (n, c), weight of each class, if there is no label
    const double[::1] weight,       # in   (n,), by which each loss is multiplied; or None: 1
    real[:, ::1] p,                 # out  (n, c), softmax of x
    real[::1] loss,                 # out  (n,)
):
    """Write -sum(target * log(softmax(x))) of each row, or -log(softmax(x)[label]); return the sum.

    A class of target 0 adds exactly 0, and so does a row of weight 0. A label that is no class
    raises IndexError before anything is written.
    """
    cdef FloatMode _mode = flush_denormals()
    cdef dim n = x.shape[0], c = x.shape[1], i
    cdef bint by_label = label is not None, weighted = weight is not None
    cdef double term, total = 0
    if not (c > 0 and loss.shape[0] == n and same_shape(&x.shape[0], &p.shape[0], 2)
            and (not weighted or weight.shape[0] == n)
            and (label.shape[0] == n if by_label else target is not None
                 and same_shape(&x.shape[0], &target.shape[0], 2))):
        raise ValueError("x, label, target, weight, p and loss do not belong to one loss")
    if by_label:
        for i in range(n):
            if not 0 <= label[i] < c:
                raise IndexError(f"a label must be from 0 to {c - 1}, got {label[i]}")
    for i in prange(n, nogil=True, schedule="static",
                    num_threads=threads_for(<double> n * (c * sizeof(real) / 2 + 30))):
        term = cross_entropy_row(&x[i, 0], NULL if by_label else &target[i, 0],
                                 class_of(&label[i], c) if by_label else 0, &p[i, 0], c)
        if weighted:
            term = term * weight[i] if weight[i] != 0 else 0
        loss[i] = <real> term
    for i in range(n):
        total += loss[i]
    return total


def cross_entropy_backward(
    const real[:, ::1] p,           # in   (n, c), as forward wrote it
    const int64_t[::1] label,       # in   as given to forward
    const real[:, ::1] target,      # in   as given to forward
    const double[::1] weight,       # in   (n,), gradient of the objective by each loss; or None
    double scale,                   # by which that is multiplied
    real[:, ::1] dx,                # out  (n, c)
):
    """Write the gradient of scale * sum(weight * loss) by the logits to ``dx``.

    That is softmax(x) * sum(target) - target, times both; a row where they are 0 gets 0.
    """
    cdef FloatMode _mode = flush_denormals()
    cdef dim n = p.shape[0], c = p.shape[1], i, k
    cdef bint by_label = label is not None, weighted = weight is not None
    cdef const real* t
    cdef real f
    if not (c > 0 and same_shape(&p.shape[0], &dx.shape[0], 2)
            and (not weighted or weight.shape[0] == n)
            and (label.shape[0] == n if by_label else target is not None
                 and same_shape(&p.shape[0], &target.shape[0], 2))):
        raise ValueError("p, label, target, weight and dx do not belong to one loss")
    if by_label:
        for i in range(n):
            if not 0 <= label[i] < c:
                raise IndexError(f"a label must be from 0 to {c - 1}, got {label[i]}")
    for i in prange(n, nogil=True, schedule="static",
                    num_threads=threads_for(<double> n * (c * sizeof(real) / 2 + 20))):
        k = class_of(&label[i], c) if by_label else 0
        t = NULL if by_label else &target[i, 0]
        f = <real> (scale * weight[i] if weighted else scale)
        cross_entropy_gradient_row(&p[i, 0], t, k, f, &dx[i, 0], c)


def right_class(
    const real[:, ::1] x,           # in   (n, c)
    const int64_t[::1] label,       # in   (n,)
    double[::1] right,              # out  (n,)
):
    """Write 1 where the label is that of the first of the largest numbers of a row, else 0.

    A row with a NaN is not right. A label that is no class raises IndexError.
    """
    cdef FloatMode _mode = flush_denormals()
    cdef dim n = x.shape[0], c = x.shape[1], i, k, best
    cdef bint numbers
    if c == 0 or label.shape[0] != n or right.shape[0] != n:
        raise ValueError("x, label and right do not belong together")
    for i in range(n):
        if not 0 <= label[i] < c:
            raise IndexError(f"a label must be from 0 to {c - 1}, got {label[i]}")
        best, numbers = 0, True
        for k in range(c):
            if x[i, k] > x[i, best]:
                best = k
            numbers = numbers and x[i, k] == x[i, k]
        right[i] = numbers and best == label[i]
