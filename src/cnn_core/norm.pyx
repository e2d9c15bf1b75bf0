"""Batch normalisation of a matrix of rows, one mean and one variance per column.

Images (n, h, w, c) are matrices of n*h*w rows. Ioffe and Szegedy (2015, arXiv:1502.03167). Sums
go by runs of rows, as in `dense`: a run adds SHORT rows at a time in the array's own precision,
those sums in double, and the runs are added in order.

    rows, c   values per column, columns     inv_std   1 / sqrt(variance + eps)
"""
from cython.parallel cimport prange
from libc.stdlib cimport calloc, free

from cnn_core.dense cimport run_of_rows
from cnn_core.threads cimport threads_for
from cnn_core.types cimport dim, least, real

cdef enum:
    SHORT = 64          # rows added in the array's own precision
    STRIP = 64          # columns summed at a time: their sums stay in the first-level cache


cdef inline void merge(
    double* mean, double* squares, double n,                # in, out  of n values
    double other_mean, double other_squares, double m,      # of m more
) noexcept nogil:
    """Mean and sum of squared distances from it, of both together (Chan, Golub, LeVeque 1979)."""
    cdef double distance = other_mean - mean[0]
    mean[0] += distance * m / (n + m)
    squares[0] += other_squares + distance * distance * n * m / (n + m)


cdef void moments_of_run(
    const real* x, dim rows, dim c,
    double* mean, double* squares,              # in, out  (c,), zeros
) noexcept nogil:
    """Mean of each column, and sum of squared distances from it.

    SHORT rows at a time are read twice, the second time from the cache: distances are from their
    own mean, so neither a common offset nor an outlier swamps them.
    """
    cdef real sums[STRIP]
    cdef real products[STRIP]
    cdef real d
    cdef dim first = 0, start, i, k, columns, n
    while first < c:
        columns = least(STRIP, c - first)
        start = 0
        while start < rows:
            n = least(SHORT, rows - start)
            for k in range(columns):
                sums[k] = 0
                products[k] = 0
            for i in range(start, start + n):
                for k in range(columns):
                    sums[k] += x[i * c + first + k]
            for k in range(columns):
                sums[k] = sums[k] / n
            for i in range(start, start + n):
                for k in range(columns):
                    d = x[i * c + first + k] - sums[k]
                    products[k] += d * d
            for k in range(columns):
                merge(&mean[first + k], &squares[first + k], start, sums[k], products[k], n)
            start += SHORT
        first += columns


cdef void gradient_sums_of_run(
    const real* x, const real* dy, const real* mean, const real* inv_std, dim rows, dim c,
    double* sum_dy, double* sum_dy_normal,
) noexcept nogil:
    """Add the sums of dy and of dy * (x - mean) * inv_std of each column."""
    cdef real sums[STRIP]
    cdef real products[STRIP]
    cdef real g
    cdef dim first = 0, start, i, k, columns
    while first < c:
        columns = least(STRIP, c - first)
        start = 0
        while start < rows:
            for k in range(columns):
                sums[k] = 0
                products[k] = 0
            for i in range(start, least(start + SHORT, rows)):
                for k in range(columns):
                    g = dy[i * c + first + k]
                    sums[k] += g
                    products[k] += g * ((x[i * c + first + k] - mean[first + k])
                                        * inv_std[first + k])
            for k in range(columns):
                sum_dy[first + k] += sums[k]
                sum_dy_normal[first + k] += products[k]
            start += SHORT
        first += columns


cdef void add_runs(double* partial, dim runs, dim width) noexcept nogil:
    """partial[0] = partial[0] + partial[1] + ..., in order."""
    cdef dim r, k
    for r in range(1, runs):
        for k in range(width):
            partial[k] += partial[r * width + k]


cdef void normalise_rows(
    const real* x, const real* mean, const real* inv_std, const real* gamma, const real* beta,
    real* y, dim rows, dim c,
) noexcept nogil:
    cdef dim i, k
    for i in range(rows):
        for k in range(c):
            y[i * c + k] = (x[i * c + k] - mean[k]) * inv_std[k] * gamma[k] + beta[k]


cdef void backward_rows(
    const real* x, const real* dy, const real* mean, const real* inv_std, const real* gamma,
    const real* mean_dy, const real* mean_dy_normal, real* dx, dim rows, dim c,
) noexcept nogil:
    """dx = gamma inv_std (dy - mean(dy) - normal mean(dy normal)), normal = (x - mean) inv_std."""
    cdef dim i, k
    for i in range(rows):
        for k in range(c):
            dx[i * c + k] = gamma[k] * inv_std[k] * (
                dy[i * c + k] - mean_dy[k]
                - (x[i * c + k] - mean[k]) * inv_std[k] * mean_dy_normal[k])


def batch_moments(
    const real[:, ::1] x,               # in   (rows, c)
    real[::1] mean, real[::1] var,      # out  (c,), the variance biased
):
    """Write mean and variance of each column, in one pass over ``x``."""
    cdef dim rows = x.shape[0], c = x.shape[1], run = run_of_rows(rows), runs, r, k
    cdef double* partial
    if mean.shape[0] != c or var.shape[0] != c or rows == 0:
        raise ValueError("x, mean and var do not belong to one batch")
    if c == 0:
        return
    runs = (rows + run - 1) // run
    partial = <double*> calloc(runs * 2 * c, sizeof(double))
    if partial == NULL:
        raise MemoryError("no memory for partial sums")
    for r in prange(runs, nogil=True, schedule="static",
                    num_threads=threads_for(<double> rows * c * sizeof(real) / 15)):
        moments_of_run(&x[r * run, 0], least(run, rows - r * run), c,
                       partial + r * 2 * c, partial + (r * 2 + 1) * c)
    for k in range(c):
        for r in range(1, runs):
            merge(&partial[k], &partial[c + k], r * run, partial[r * 2 * c + k],
                  partial[(r * 2 + 1) * c + k], least(run, rows - r * run))
        mean[k] = <real> partial[k]
        var[k] = <real> (partial[c + k] / rows)
    free(partial)


def batch_norm_forward(
    const real[:, ::1] x,                           # in   (rows, c)
    const real[::1] mean, const real[::1] inv_std,  # in   (c,), of the batch or running
    const real[::1] gamma, const real[::1] beta,    # in   (c,)
    real[:, ::1] y,                                 # out  (rows, c)
):
    """Write (x - mean) * inv_std * gamma + beta to ``y``."""
    cdef dim rows = x.shape[0], c = x.shape[1], run = run_of_rows(rows), r
    if (y.shape[0] != rows or y.shape[1] != c or mean.shape[0] != c or inv_std.shape[0] != c
            or gamma.shape[0] != c or beta.shape[0] != c):
        raise ValueError("x, y and the statistics do not belong to one normalisation")
    if rows == 0 or c == 0:
        return
    for r in prange((rows + run - 1) // run, nogil=True, schedule="static",
                    num_threads=threads_for(<double> rows * c * sizeof(real) / 10)):
        normalise_rows(&x[r * run, 0], &mean[0], &inv_std[0], &gamma[0], &beta[0],
                       &y[r * run, 0], least(run, rows - r * run), c)


def batch_norm_backward(
    const real[:, ::1] x, const real[:, ::1] dy,    # in   (rows, c)
    const real[::1] mean, const real[::1] inv_std,  # in   (c,), of the batch
    const real[::1] gamma,                          # in   (c,)
    real[:, ::1] dx,                                # out  (rows, c), overwritten, or None
    real[::1] dgamma, real[::1] dbeta,              # out  (c,), added to
    bint batch,                                     # the statistics are the batch's own
):
    """Write the gradient with respect to ``x``; add those of gamma and beta.

    With running statistics (``batch`` false) the mean and the variance are constants, and
    dx = gamma * inv_std * dy.
    """
    cdef dim rows = x.shape[0], c = x.shape[1], run = run_of_rows(rows), runs, r, k
    cdef double* partial
    cdef real* means
    if (dy.shape[0] != rows or dy.shape[1] != c or mean.shape[0] != c or inv_std.shape[0] != c
            or gamma.shape[0] != c or dgamma.shape[0] != c or dbeta.shape[0] != c
            or (dx is not None and (dx.shape[0] != rows or dx.shape[1] != c))):
        raise ValueError("x, dy, dx and the statistics do not belong to one normalisation")
    if rows == 0 or c == 0:
        return
    runs = (rows + run - 1) // run
    partial = <double*> calloc((runs * 2 + 2) * c, sizeof(double))
    if partial == NULL:
        raise MemoryError("no memory for partial sums")
    for r in prange(runs, nogil=True, schedule="static",
                    num_threads=threads_for(<double> rows * c * sizeof(real) / 10)):
        gradient_sums_of_run(&x[r * run, 0], &dy[r * run, 0], &mean[0], &inv_std[0],
                             least(run, rows - r * run), c,
                             partial + r * 2 * c, partial + (r * 2 + 1) * c)
    add_runs(partial, runs, 2 * c)
    means = <real*> (partial + runs * 2 * c)
    for k in range(c):
        dbeta[k] += <real> partial[k]
        dgamma[k] += <real> partial[c + k]
        means[k] = <real> (partial[k] / rows) if batch else 0
        means[c + k] = <real> (partial[c + k] / rows) if batch else 0
    if dx is not None:
        for r in prange(runs, nogil=True, schedule="static",
                        num_threads=threads_for(<double> rows * c * sizeof(real) / 10)):
            backward_rows(&x[r * run, 0], &dy[r * run, 0], &mean[0], &inv_std[0], &gamma[0],
                          means, means + c, &dx[r * run, 0], least(run, rows - r * run), c)
    free(partial)
