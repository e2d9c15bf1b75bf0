"""Normalisation inside one sample: layer, group and instance normalisation, one formulation.

A row is one sample, a matrix of pixels x c in memory. Its columns are cut into groups of
neighbours; the entries of a group, over all pixels, share one mean and one variance. Every entry
is then scaled by gamma and shifted by beta, which have one number per column, or one per entry.

    group norm       x (n, h*w, c), some groups         one gamma per column
    instance norm    x (n, h*w, c), c groups            one gamma per column
    layer norm       x (rows, 1, length), one group     one gamma per entry
      over h, w      x (n, h*w, c), c groups            one gamma per entry

A row of one pixel and one group is read as pixels of one vector each, so that it is summed like
an image. Ba, Kiros and Hinton (2016, arXiv:1607.06450), Ulyanov, Vedaldi and Lempitsky (2016,
arXiv:1607.08022), Wu and He (2018, arXiv:1803.08494).

Threads share out blocks of rows. Sums take SHORT_ROWS pixels in the array's own precision, and
those sums in double (`group_norm_sums`). Gradients of gamma and beta are summed within a block, and
the blocks in order.

    values    of a row; the last pixel of a row read as vectors may be a part of one
    wide      columns rounded up to whole vectors: the length of arrays of one number per column
    step      from the gamma of one pixel to that of the next: 0, or c with one per entry
"""
from cython.parallel cimport prange
from libc.math cimport isfinite
from libc.string cimport memset

from cnn_core.batch_norm_sums cimport inverse_deviation, moments_of_huge, scale_of_huge
from cnn_core.group_norm_sums cimport add_up, add_up_gradients, gather
from cnn_core.memory cimport Buffer
from cnn_core.reduce cimport SHORT_ROWS
from cnn_core.simd cimport lanes, vec, vecd, vecf, vload, vload_tail, vstore_tail
from cnn_core.threads cimport FloatMode, flush_denormals, threads_for
from cnn_core.types cimport blocks_of, dim, least, real, same_shape

cdef enum:
    MIN_BLOCKS = 16         # blocks of rows, at least, if there are enough rows
    CHUNK_GAMMAS = 256      # gradients of gamma added up at a time


cdef dim blocks_of_rows(dim rows) noexcept nogil:
    """Return the number of blocks: each has SHORT_ROWS rows at most."""
    return least(rows, max(MIN_BLOCKS, blocks_of(rows, SHORT_ROWS)))


cdef inline dim whole_vectors(dim c, dim itemsize) noexcept nogil:
    """Return the columns rounded up to whole vectors."""
    return blocks_of(c, lanes(itemsize)) * lanes(itemsize)


cdef inline void spread(const real* of_groups, dim groups, dim each, real* columns) noexcept nogil:
    """Repeat each group's value in its columns."""
    cdef dim g, k
    for g in range(groups):
        for k in range(each):
            columns[g * each + k] = of_groups[g]


cdef inline void moments_of_row(
    const real* x, dim values, dim c, dim groups, double eps,
    real* mean, real* inv_std,                  # out  (groups,)
    double* totals, real* sums,                 # work (wide,), sums zeros
    real* columns,                              # out  (2, wide): mean, inv_std
    dim wide, vec* tag,
) noexcept nogil:
    """Mean and 1 / sqrt(variance + eps) of each group, repeated in its columns.

    The row is read twice, the second time mostly from the cache: distances are from the mean
    itself, so a common offset does not swamp them.
    """
    cdef dim g, each = c // groups
    cdef double n = values // groups, scale, center
    memset(totals, 0, wide * sizeof(double))
    add_up(False, x, values, c, columns, sums, totals, wide, tag)
    gather(totals, groups, c // groups)
    for g in range(groups):
        mean[g] = <real> (totals[g] / n)
    spread(mean, groups, c // groups, columns)
    memset(totals, 0, wide * sizeof(double))
    add_up(True, x, values, c, columns, sums, totals, wide, tag)
    gather(totals, groups, c // groups)
    for g in range(groups):
        scale = 1
        if not isfinite(totals[g]):
            scale = scale_of_huge(sizeof(real))
            moments_of_huge(x + g * each, 1 if groups == 1 else values // c,
                            values if groups == 1 else each, c, &center, &totals[g])
            mean[g] = <real> (center / scale)
            spread(mean + g, 1, each, columns + g * each)
        inv_std[g] = <real> inverse_deviation(totals[g] / n, eps, scale)
    spread(inv_std, groups, each, columns + wide)


cdef inline void normalise_vector(
    dim n, const real* x, real* y, const real* gamma, const real* beta,
    const real* columns, dim wide, vec* tag,
) noexcept nogil:
    """y = (x - mean) inv_std gamma + beta."""
    cdef vec v, a, b
    vload_tail(v, x, n)
    vload(a, columns)
    v = v - a
    vload(a, columns + wide)
    vload_tail(b, gamma, n)
    v = v * (a * b)
    vload_tail(b, beta, n)
    v = v + b
    vstore_tail(y, v, n)


cdef inline void normalise_row(
    const real* x, real* y, dim values, dim c, const real* gamma, const real* beta, dim step,
    const real* columns,                        # mean, inv_std  (2, wide)
    dim wide, vec* tag,
) noexcept nogil:
    cdef dim size = lanes(sizeof(real)), n, k
    while values > 0:
        k, n = 0, least(values, c)
        while k + size <= n:
            normalise_vector(size, x + k, y + k, gamma + k, beta + k, columns + k, wide, tag)
            k += size
        if k < n:
            normalise_vector(n - k, x + k, y + k, gamma + k, beta + k, columns + k, wide, tag)
        x += n
        y += n
        gamma += step
        beta += step
        values -= n


cdef inline void backward_vector(
    dim n, const real* x, const real* dy, real* dx, const real* gamma,
    const real* columns, dim wide, vec* tag,
) noexcept nogil:
    """dx = inv_std (dy gamma - mean(dy gamma) - normal mean(dy gamma normal))."""
    cdef vec v, g, a, inv_std
    vload_tail(v, x, n)
    vload(a, columns)
    vload(inv_std, columns + wide)
    v = (v - a) * inv_std
    vload_tail(g, dy, n)
    vload_tail(a, gamma, n)
    g = g * a
    vload(a, columns + 2 * wide)
    g = g - a
    vload(a, columns + 3 * wide)
    g = (g - v * a) * inv_std
    vstore_tail(dx, g, n)


cdef inline void backward_row(
    const real* x, const real* dy, real* dx, dim values, dim c, const real* gamma, dim step,
    const real* columns,                # mean, inv_std, means of dy gamma (normal)  (4, wide)
    dim wide, vec* tag,
) noexcept nogil:
    cdef dim size = lanes(sizeof(real)), n, k
    while values > 0:
        k, n = 0, least(values, c)
        while k + size <= n:
            backward_vector(size, x + k, dy + k, dx + k, gamma + k, columns + k, wide, tag)
            k += size
        if k < n:
            backward_vector(n - k, x + k, dy + k, dx + k, gamma + k, columns + k, wide, tag)
        x += n
        dy += n
        dx += n
        gamma += step
        values -= n


cdef inline void forward_block(
    const real* x, dim rows, dim values, dim c, dim groups, double eps,
    const real* gamma, const real* beta, dim step,
    real* mean, real* inv_std, real* y,
    char* own,                                  # work of the block, zeros
    dim wide, vec* tag,
) noexcept nogil:
    cdef double* totals = <double*> own
    cdef real* space = <real*> (totals + wide)  # sums, then mean and inv_std of columns
    cdef dim r
    for r in range(rows):
        moments_of_row(x + r * values, values, c, groups, eps, mean + r * groups,
                       inv_std + r * groups, totals, space, space + wide, wide, tag)
        normalise_row(x + r * values, y + r * values, values, c, gamma, beta, step, space + wide,
                      wide, tag)


cdef inline void backward_block(
    const real* x, const real* dy, dim rows, dim values, dim c, dim groups,
    const real* gamma, dim step, const real* mean, const real* inv_std,
    real* dx,                                   # or NULL
    real* dgamma, real* dbeta,                  # out  one per gamma, zeros
    char* own,                                  # work of the block, zeros
    dim wide, vec* tag,
) noexcept nogil:
    cdef double* totals = <double*> own         # (4, wide)
    cdef real* sums = <real*> (totals + 4 * wide)
    cdef real* columns = sums + 2 * wide        # mean, inv_std, means of dy gamma (normal)
    cdef real* of_groups = columns + 4 * wide
    cdef dim each = c // groups, r, g, k
    cdef double n = values // groups
    for r in range(rows):
        spread(mean + r * groups, groups, each, columns)
        spread(inv_std + r * groups, groups, each, columns + wide)
        memset(totals, 0, 2 * wide * sizeof(double))
        add_up_gradients(x, dy, values, c, gamma, step, columns, sums, totals, dgamma, dbeta,
                         wide, tag)
        if dx != NULL:
            for k in range(2):
                gather(totals + k * wide, groups, each)
                for g in range(groups):
                    of_groups[g] = <real> (totals[k * wide + g] / n)
                spread(of_groups, groups, each, columns + (2 + k) * wide)
            backward_row(x, dy, dx, values, c, gamma, step, columns, wide, tag)
            dx += values
        x += values
        dy += values
    if step == 0:
        for k in range(c):
            dbeta[k] = <real> totals[2 * wide + k]
            dgamma[k] = <real> totals[3 * wide + k]


cdef dim group_norm_workspace(dim c, dim itemsize) noexcept nogil:
    """Return the bytes of workspace that `group_norm_rows` takes."""
    return whole_vectors(c, itemsize) * (sizeof(double) + 3 * itemsize)


cdef void group_norm_rows(
    const real* x, dim rows, dim values, dim c, dim groups, double eps,
    const real* gamma, const real* beta, dim step,
    real* mean, real* inv_std, real* y, char* workspace,
) noexcept nogil:
    """Normalise rows; the workspace holds zeros before and other numbers after."""
    cdef dim wide = whole_vectors(c, sizeof(real))
    if real is float:
        forward_block(x, rows, values, c, groups, eps, gamma, beta, step, mean, inv_std, y,
                      workspace, wide, <vecf*> NULL)
    else:
        forward_block(x, rows, values, c, groups, eps, gamma, beta, step, mean, inv_std, y,
                      workspace, wide, <vecd*> NULL)


cdef dim group_norm_gradient_workspace(dim c, dim itemsize) noexcept nogil:
    """Return the bytes of workspace that `group_norm_gradient_rows` takes."""
    return whole_vectors(c, itemsize) * (4 * sizeof(double) + 7 * itemsize)


cdef void group_norm_gradient_rows(
    const real* x, const real* dy, dim rows, dim values, dim c, dim groups,
    const real* gamma, dim step, const real* mean, const real* inv_std,
    real* dx, real* dgamma, real* dbeta, char* workspace,
) noexcept nogil:
    """Write the gradients of rows; the workspace holds zeros before and other numbers after."""
    cdef dim wide = whole_vectors(c, sizeof(real))
    if real is float:
        backward_block(x, dy, rows, values, c, groups, gamma, step, mean, inv_std, dx, dgamma,
                       dbeta, workspace, wide, <vecf*> NULL)
    else:
        backward_block(x, dy, rows, values, c, groups, gamma, step, mean, inv_std, dx, dgamma,
                       dbeta, workspace, wide, <vecd*> NULL)


cdef dim group_norm_columns(dim pixels, dim c, dim groups, dim itemsize) noexcept nogil:
    """Return the columns of a row; one pixel and one group are read as vectors."""
    return lanes(itemsize) if pixels == 1 and groups == 1 else c


cdef bint belong(const dim* x, const dim* gamma, const dim* statistics) noexcept nogil:
    """Return whether shapes are (rows, pixels, c), (1 or pixels, c) and (2, rows, groups)."""
    return ((gamma[0] == 1 or gamma[0] == x[1]) and gamma[1] == x[2] and statistics[0] == 2
            and statistics[1] == x[0] and statistics[2] > 0 and x[2] % statistics[2] == 0)


cdef void add_blocks(const real* partial, dim blocks, dim n, dim start, real* out) noexcept nogil:
    """out += the sum over the blocks, for a chunk of the n numbers of a gradient.

    A block has two gradients, one behind the other.
    """
    cdef double totals[CHUNK_GAMMAS]
    cdef dim stop = least(CHUNK_GAMMAS, n - start), b, k
    for k in range(stop):
        totals[k] = 0
    for b in range(blocks):
        for k in range(stop):
            totals[k] += partial[2 * b * n + start + k]
    for k in range(stop):
        out[start + k] += <real> totals[k]


def group_norm_forward(
    const real[:, :, ::1] x,            # in   (rows, pixels, c)
    const real[:, ::1] gamma, const real[:, ::1] beta,  # in   (1 or pixels, c)
    double eps,
    real[:, :, ::1] statistics,         # out  (2, rows, groups): mean, 1 / sqrt(variance + eps)
    real[:, :, ::1] y,                  # out  (rows, pixels, c)
):
    """Write (x - mean) * inv_std * gamma + beta to ``y``, with the statistics of each group."""
    cdef FloatMode _mode = flush_denormals()
    cdef dim rows = x.shape[0], pixels = x.shape[1], groups = statistics.shape[2], b, first, n
    cdef dim c = group_norm_columns(pixels, x.shape[2], groups, sizeof(real))
    cdef dim values = pixels * x.shape[2]
    cdef dim step = 0 if gamma.shape[0] == 1 < pixels else c
    cdef dim blocks = blocks_of_rows(rows), each = group_norm_workspace(c, sizeof(real))
    cdef Buffer workspace
    cdef char* space
    if (not belong(&x.shape[0], &gamma.shape[0], &statistics.shape[0])
            or not same_shape(&gamma.shape[0], &beta.shape[0], 2)
            or not same_shape(&x.shape[0], &y.shape[0], 3)):
        raise ValueError("x, y, gamma, beta and statistics do not belong to one normalisation")
    if rows == 0 or values == 0:
        return
    workspace = Buffer(<double> blocks * each)
    space = <char*> workspace.memory
    memset(space, 0, blocks * each)
    for b in prange(blocks, nogil=True, schedule="static",
                    num_threads=threads_for(<double> rows * values * sizeof(real) / 10)):
        first = b * rows // blocks
        n = (b + 1) * rows // blocks - first
        group_norm_rows(&x[first, 0, 0], n, values, c, groups, eps, &gamma[0, 0], &beta[0, 0],
                        step, &statistics[0, first, 0], &statistics[1, first, 0],
                        &y[first, 0, 0], space + b * each)


def group_norm_backward(
    const real[:, :, ::1] x, const real[:, :, ::1] dy,      # in   (rows, pixels, c)
    const real[:, ::1] gamma,           # in   (1 or pixels, c)
    const real[:, :, ::1] statistics,   # in   (2, rows, groups), of the forward
    real[:, :, ::1] dx,                 # out  (rows, pixels, c), overwritten, or None
    real[:, ::1] dgamma, real[:, ::1] dbeta,            # out  (1 or pixels, c), added to
):
    """Write the gradient with respect to ``x``; add those of gamma and beta.

    With normal = (x - mean) inv_std, g = dy gamma and means over the entries of the group,

        dx = inv_std (g - mean(g) - normal mean(g normal)).
    """
    cdef FloatMode _mode = flush_denormals()
    cdef dim rows = x.shape[0], pixels = x.shape[1], groups = statistics.shape[2], b, first, n
    cdef dim c = group_norm_columns(pixels, x.shape[2], groups, sizeof(real))
    cdef dim values = pixels * x.shape[2]
    cdef dim step = 0 if gamma.shape[0] == 1 < pixels else c
    cdef dim gammas = gamma.shape[0] * gamma.shape[1]
    cdef dim blocks = blocks_of_rows(rows), each = group_norm_gradient_workspace(c, sizeof(real))
    cdef real* partial
    cdef Buffer workspace
    cdef char* space
    if (not belong(&x.shape[0], &gamma.shape[0], &statistics.shape[0])
            or not same_shape(&x.shape[0], &dy.shape[0], 3)
            or not same_shape(&gamma.shape[0], &dgamma.shape[0], 2)
            or not same_shape(&gamma.shape[0], &dbeta.shape[0], 2)
            or (dx is not None and not same_shape(&x.shape[0], &dx.shape[0], 3))):
        raise ValueError("x, dy, dx, gamma and statistics do not belong to one normalisation")
    if rows == 0 or values == 0:
        return
    workspace = Buffer(<double> blocks * (each + 2 * gammas * sizeof(real)))
    space = <char*> workspace.memory
    partial = <real*> (space + blocks * each)       # (blocks, 2, gammas): of dgamma, dbeta
    memset(space, 0, blocks * (each + 2 * gammas * sizeof(real)))
    for b in prange(blocks, nogil=True, schedule="static",
                    num_threads=threads_for(<double> rows * values * sizeof(real) / 6)):
        first = b * rows // blocks
        n = (b + 1) * rows // blocks - first
        group_norm_gradient_rows(
            &x[first, 0, 0], &dy[first, 0, 0], n, values, c, groups, &gamma[0, 0], step,
            &statistics[0, first, 0], &statistics[1, first, 0],
            NULL if dx is None else &dx[first, 0, 0], partial + 2 * b * gammas,
            partial + (2 * b + 1) * gammas, space + b * each)
    for b in prange(blocks_of(gammas, CHUNK_GAMMAS), nogil=True, schedule="static",
                    num_threads=threads_for(<double> blocks * gammas * sizeof(real) / 5)):
        add_blocks(partial, blocks, gammas, b * CHUNK_GAMMAS, &dgamma[0, 0])
        add_blocks(partial + gammas, blocks, gammas, b * CHUNK_GAMMAS, &dbeta[0, 0])
