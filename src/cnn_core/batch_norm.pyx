"""Batch normalisation of a matrix of rows, one mean and one variance per column.

Images (n, h, w, c) are matrices of n*h*w rows. Ioffe and Szegedy (2015, arXiv:1502.03167).

Both passes work on *wide* rows: several rows of few columns, a whole number of vectors, in which
what belongs to a column is repeated. Sums go by runs of rows, see `batch_norm_sums`.

    rows, c   values per column, columns      inv_std   1 / sqrt(variance + eps)
    wide      columns of a wide row, a multiple of c: number k belongs to column k mod c
"""
from cython.parallel cimport prange
from libc.math cimport isfinite
from libc.string cimport memset

from cnn_core.batch_norm_sums cimport REGISTER_VECTORS, gradient_sums_of_run, inverse_deviation
from cnn_core.batch_norm_sums cimport merge, moments_of_huge, moments_of_run, repeat
from cnn_core.batch_norm_sums cimport scale_of_huge, wide_row
from cnn_core.memory cimport Buffer
from cnn_core.reduce cimport run_of_rows
from cnn_core.simd cimport lanes, vdrelu, vec, vecd, vecf, vfill, vload, vload_tail, vrelu
from cnn_core.simd cimport vstore_tail
from cnn_core.threads cimport FloatMode, flush_denormals, threads_for
from cnn_core.types cimport blocks_of, dim, least, real


cdef inline void normalise_block(
    dim vectors, const real* x, const real* residual, real* y, dim left,    # values from here on
    const real* columns, dim wide, bint relu, vec* tag,
) noexcept nogil:
    """y = (x - mean) scale + beta, plus the residual; with relu, 0 where that is below 0."""
    cdef dim size = lanes(sizeof(real)), j
    cdef vec v[REGISTER_VECTORS]
    cdef vec a, b, zero
    vfill(zero, 0)
    for j in range(vectors):
        vload_tail(v[j], x + j * size, left - j * size)
        vload(a, columns + j * size)
        v[j] = v[j] - a
        vload(a, columns + wide + j * size)
        vload(b, columns + 2 * wide + j * size)
        v[j] = v[j] * a + b
        if residual != NULL:
            vload_tail(a, residual + j * size, left - j * size)
            v[j] = v[j] + a
        if relu:
            vrelu(v[j], zero)
    for j in range(vectors):
        vstore_tail(y + j * size, v[j], left - j * size)


cdef inline void normalise_run(
    const real* x, const real* residual, real* y, dim values,   # residual may be NULL
    const real* columns,                        # mean, scale, beta  (3, wide)
    dim wide, bint relu, vec* tag,
) noexcept nogil:
    cdef dim size = lanes(sizeof(real)), block = REGISTER_VECTORS * size, n, k
    while values > 0:
        n, k = least(wide, values), 0
        while k + block <= n:
            normalise_block(REGISTER_VECTORS, x + k, NULL if residual == NULL else residual + k,
                            y + k, block, columns + k, wide, relu, tag)
            k += block
        while k < n:
            normalise_block(1, x + k, NULL if residual == NULL else residual + k, y + k, n - k,
                            columns + k, wide, relu, tag)
            k += size
        x += n
        if residual != NULL:
            residual += n
        y += n
        values -= n


cdef inline void backward_block(
    dim vectors, const real* x, const real* dy, real* dx, dim left,
    const real* columns, dim wide, bint drelu, vec* tag,
) noexcept nogil:
    """dx = scale (dy - mean_dy - slope (x - mean)); with drelu, 0 where x <= 0 or NaN."""
    cdef dim size = lanes(sizeof(real)), j
    cdef vec g[REGISTER_VECTORS]
    cdef vec v, a, b, zero
    vfill(zero, 0)
    for j in range(vectors):
        vload_tail(v, x + j * size, left - j * size)
        vload_tail(g[j], dy + j * size, left - j * size)
        vload(a, columns + wide + j * size)
        g[j] = g[j] - a
        vload(a, columns + j * size)
        vload(b, columns + 2 * wide + j * size)
        g[j] = g[j] - b * (v - a)
        vload(a, columns + 3 * wide + j * size)
        g[j] = g[j] * a
        if drelu:
            vdrelu(g[j], v, zero)
    for j in range(vectors):
        vstore_tail(dx + j * size, g[j], left - j * size)


cdef inline void backward_run(
    const real* x, const real* dy, real* dx, dim values,
    const real* columns,                        # mean, mean_dy, slope, scale  (4, wide)
    dim wide, bint drelu, vec* tag,
) noexcept nogil:
    cdef dim size = lanes(sizeof(real)), block = REGISTER_VECTORS * size, n, k
    while values > 0:
        n, k = least(wide, values), 0
        while k + block <= n:
            backward_block(REGISTER_VECTORS, x + k, dy + k, dx + k, block, columns + k, wide,
                           drelu, tag)
            k += block
        while k < n:
            backward_block(1, x + k, dy + k, dx + k, n - k, columns + k, wide, drelu, tag)
            k += size
        x += n
        dy += n
        dx += n
        values -= n


cdef dim batch_norm_width(dim c, dim itemsize) noexcept nogil:
    """Return the length of a wide row: a multiple of c and of a vector, where c is small."""
    return wide_row(c, itemsize)


cdef void batch_norm_columns(const real* values, dim c, real* out, dim wide) noexcept nogil:
    """Repeat c values over a wide row; they may be at its beginning."""
    repeat(values, c, out, wide)


cdef void batch_norm_run(
    const real* x, const real* residual, real* y, dim values, const real* columns, dim wide,
    bint relu,
) noexcept nogil:
    """y = (x - mean) scale + beta, plus the residual."""
    if real is float:
        normalise_run(x, residual, y, values, columns, wide, relu, <vecf*> NULL)
    else:
        normalise_run(x, residual, y, values, columns, wide, relu, <vecd*> NULL)


cdef void batch_norm_gradient_run(
    const real* x, const real* dy, real* dx, dim values, const real* columns, dim wide, bint drelu,
) noexcept nogil:
    """dx = scale (dy - mean_dy - slope (x - mean))."""
    if real is float:
        backward_run(x, dy, dx, values, columns, wide, drelu, <vecf*> NULL)
    else:
        backward_run(x, dy, dx, values, columns, wide, drelu, <vecd*> NULL)


def batch_moments(
    const real[:, ::1] x,                               # in   (rows, c)
    real[::1] mean, real[::1] inv_std,                  # out  (c,)
    real[::1] running_mean, real[::1] running_var,      # in, out  (c,)
    double momentum,                                    # factor of the old running statistics
    bint unbiased,                                      # running_var takes squares / (rows - 1)
    double eps,
):
    """Write mean and 1 / sqrt(variance + eps) of each column, in one pass over ``x``.

    running = momentum running + (1 - momentum) batch, for both.
    """
    cdef FloatMode _mode = flush_denormals()
    cdef dim rows = x.shape[0], c = x.shape[1], run = run_of_rows(rows), runs, wide, r, k, n
    cdef Buffer workspace
    cdef double* moments
    cdef double* totals
    cdef real* sums
    cdef real* means
    cdef double var, scale
    if (mean.shape[0] != c or inv_std.shape[0] != c or running_mean.shape[0] != c
            or running_var.shape[0] != c or rows == 0):
        raise ValueError("x and the statistics do not belong to one batch")
    if c == 0:
        return
    runs, wide = blocks_of(rows, run), wide_row(c, sizeof(real))
    workspace = Buffer(<double> runs * (4 * c * sizeof(double) + 2 * wide * sizeof(real)))
    moments = <double*> workspace.memory                # (runs, 2, c)
    totals = moments + runs * 2 * c                     # (runs, 2, c)
    sums = <real*> (totals + runs * 2 * c)              # (runs, wide)
    means = sums + runs * wide                          # (runs, wide)
    memset(moments, 0, runs * 2 * c * sizeof(double))
    memset(sums, 0, runs * wide * sizeof(real))
    for r in prange(runs, nogil=True, schedule="static",
                    num_threads=threads_for(<double> rows * c * sizeof(real) / 20)):
        n = least(run, rows - r * run)
        if real is float:
            moments_of_run(&x[r * run, 0], n, c, wide, moments + r * 2 * c, totals + r * 2 * c,
                           sums + r * wide, means + r * wide, <vecf*> NULL)
        else:
            moments_of_run(&x[r * run, 0], n, c, wide, moments + r * 2 * c, totals + r * 2 * c,
                           sums + r * wide, means + r * wide, <vecd*> NULL)
    for r in range(1, runs):
        for k in range(c):
            merge(&moments[k], &moments[c + k], r * run, moments[r * 2 * c + k],
                  moments[(r * 2 + 1) * c + k], least(run, rows - r * run))
    for k in range(c):
        scale = 1
        if not isfinite(moments[c + k]):
            scale = scale_of_huge(sizeof(real))
            moments_of_huge(&x[0, k], rows, 1, c, &moments[k], &moments[c + k])
            moments[k] /= scale
        var = moments[c + k] / rows
        mean[k] = <real> moments[k]
        inv_std[k] = <real> inverse_deviation(var, eps, scale)
        if unbiased:
            var = moments[c + k] / (rows - 1)
        var = var / scale / scale
        running_mean[k] = <real> (momentum * running_mean[k] + (1 - momentum) * moments[k])
        running_var[k] = <real> (momentum * running_var[k] + (1 - momentum) * var)


def batch_norm_forward(
    const real[:, ::1] x,                           # in   (rows, c)
    const real[::1] mean, const real[::1] inv_std,  # in   (c,), of the batch or running
    const real[::1] gamma, const real[::1] beta,    # in   (c,)
    real[:, ::1] y,                                 # out  (rows, c)
    bint relu=False,                                # in the end, turn negative results into 0
    const real[:, ::1] residual=None,               # in   (rows, c), added before that
):
    """Write (x - mean) * (inv_std * gamma) + beta to ``y``.

    The mean is subtracted from x itself: multiplied first and put into beta, it would leave few
    digits where it is many standard deviations.
    """
    cdef FloatMode _mode = flush_denormals()
    cdef dim rows = x.shape[0], c = x.shape[1], run = run_of_rows(rows), wide, r, k, n
    cdef Buffer workspace
    cdef real* columns
    cdef real* scale
    if (y.shape[0] != rows or y.shape[1] != c or mean.shape[0] != c or inv_std.shape[0] != c
            or gamma.shape[0] != c or beta.shape[0] != c
            or (residual is not None and (residual.shape[0] != rows or residual.shape[1] != c))):
        raise ValueError("x, y, residual and the statistics do not belong to one normalisation")
    if rows == 0 or c == 0:
        return
    wide = wide_row(c, sizeof(real))
    workspace = Buffer(3.0 * wide * sizeof(real))
    columns = <real*> workspace.memory              # (3, wide)
    scale = columns + wide
    repeat(&mean[0], c, columns, wide)
    for k in range(c):
        scale[k] = inv_std[k] * gamma[k]
    repeat(scale, c, scale, wide)
    repeat(&beta[0], c, columns + 2 * wide, wide)
    for r in prange(blocks_of(rows, run), nogil=True, schedule="static",
                    num_threads=threads_for(<double> rows * c * sizeof(real) / 15)):
        n = least(run, rows - r * run)
        batch_norm_run(&x[r * run, 0], NULL if residual is None else &residual[r * run, 0],
                       &y[r * run, 0], n * c, columns, wide, relu)


def batch_norm_backward(
    const real[:, ::1] x, const real[:, ::1] dy,    # in   (rows, c)
    const real[::1] mean, const real[::1] inv_std,  # in   (c,), as given to forward
    const real[::1] gamma,                          # in   (c,)
    real[:, ::1] dx,                                # out  (rows, c), overwritten, or None
    real[::1] dgamma, real[::1] dbeta,              # out  (c,), added to, or None; both alike
    bint batch,                                     # the statistics are the batch's own
    bint drelu=False,                               # dx = 0 where x <= 0 or NaN
):
    """Write the gradient with respect to ``x``; add those of gamma and beta.

    With normal = (x - mean) inv_std and means over the rows,

        dx = gamma inv_std (dy - mean(dy) - normal mean(dy normal)).

    With running statistics (``batch`` false) the mean and the variance are constants, and
    dx = gamma inv_std dy.
    """
    cdef FloatMode _mode = flush_denormals()
    cdef dim rows = x.shape[0], c = x.shape[1], run = run_of_rows(rows), runs, wide, r, k, n
    cdef Buffer workspace
    cdef double* totals
    cdef real* sums
    cdef real* columns
    if (dy.shape[0] != rows or dy.shape[1] != c or mean.shape[0] != c or inv_std.shape[0] != c
            or gamma.shape[0] != c or (dgamma is None) != (dbeta is None)
            or (dgamma is not None and (dgamma.shape[0] != c or dbeta.shape[0] != c))
            or (dx is not None and (dx.shape[0] != rows or dx.shape[1] != c))):
        raise ValueError("x, dy, dx and the statistics do not belong to one normalisation")
    if rows == 0 or c == 0:
        return
    runs, wide = blocks_of(rows, run), wide_row(c, sizeof(real))
    workspace = Buffer(
        <double> runs * 2 * c * sizeof(double) + (2.0 * runs + 4) * wide * sizeof(real))
    totals = <double*> workspace.memory             # (runs, 2, c)
    sums = <real*> (totals + runs * 2 * c)          # (runs, 2, wide)
    columns = sums + runs * 2 * wide                # (4, wide)
    memset(totals, 0, runs * 2 * (c * sizeof(double) + wide * sizeof(real)))
    repeat(&mean[0], c, columns, wide)
    for r in prange(runs if batch or dgamma is not None else 0, nogil=True, schedule="static",
                    num_threads=threads_for(<double> rows * c * sizeof(real) / 12)):
        n = least(run, rows - r * run)
        if real is float:
            gradient_sums_of_run(&x[r * run, 0], &dy[r * run, 0], columns, n, c, wide,
                                 totals + r * 2 * c, sums + r * 2 * wide, <vecf*> NULL)
        else:
            gradient_sums_of_run(&x[r * run, 0], &dy[r * run, 0], columns, n, c, wide,
                                 totals + r * 2 * c, sums + r * 2 * wide, <vecd*> NULL)
    for r in range(1, runs):
        for k in range(2 * c):
            totals[k] += totals[r * 2 * c + k]
    for k in range(c):
        totals[c + k] *= inv_std[k]
        if dgamma is not None:
            dbeta[k] += <real> totals[k]
            dgamma[k] += <real> totals[c + k]
        columns[wide + k] = <real> (totals[k] / rows) if batch else 0
        columns[2 * wide + k] = <real> (inv_std[k] * totals[c + k] / rows) if batch else 0
        columns[3 * wide + k] = gamma[k] * inv_std[k]
    if dx is None:
        return
    for k in range(1, 4):
        repeat(columns + k * wide, c, columns + k * wide, wide)
    for r in prange(runs, nogil=True, schedule="static",
                    num_threads=threads_for(<double> rows * c * sizeof(real) / 10)):
        n = least(run, rows - r * run)
        batch_norm_gradient_run(&x[r * run, 0], &dy[r * run, 0], &dx[r * run, 0], n * c, columns,
                                wide, drelu)
