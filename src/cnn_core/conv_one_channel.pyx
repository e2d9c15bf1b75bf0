"""Convolution of one channel to few filters: a vector holds neighbouring pixels of a row.

It takes the place of `gemm.multiply` in `conv_indirect`. There a vector holds filters, and these
would fill only a part of it: 6 of 16 lanes in the first layer of a LeNet-5. At stride 1 the pixels
under one tap of neighbouring windows are neighbours too, so here each filter has a plane of its own
with the output pixels side by side, until a transpose brings the filters of a pixel together.

    rows, width   of output pixels       co   filters       k   taps
    row, step     the window of output pixel i begins at row[i], its tap p lies step[p] further;
                  the windows of a row of output pixels lie one pixel apart
"""
from libc.string cimport memset

from cnn_core.gemm cimport CHAIN
from cnn_core.simd cimport MAX_LANES, VBYTES, lanes, offset, shortf, transpose_4x4, vec, vecd, vecf
from cnn_core.simd cimport vfill, vload, vload_first, vrelu, vstore
from cnn_core.transpose cimport transpose_matrix
from cnn_core.types cimport blocks_of, dim, least, real

cdef enum:
    CHUNK_VECTORS = 2       # vectors of output pixels that are computed together
    BLOCK_FILTERS = 6       # filters that are computed together, at most
    BLOCK_TAPS = 8          # taps of a weight gradient that are computed together, at most
    BLOCK_SUMS = 24         # filters times taps, at most: with 32 registers, 24 hold sums
    PAIR_TAPS = 5           # taps beside two filters where there are 16 registers: 10 hold sums


cdef inline dim padded(dim width, dim itemsize) noexcept nogil:
    """Return the length of a row of output pixels in whole vectors."""
    return blocks_of(width * itemsize, VBYTES) * VBYTES // itemsize


cdef dim one_channel_space(dim rows, dim width, dim co, dim itemsize) noexcept nogil:
    """Return how many numbers `one_channel_sum` needs as workspace."""
    return rows * padded(width, itemsize) * co


cdef inline void filter_chunk(
    dim filters,                                # a literal: how many filters
    dim co, dim k, dim left, const real* x, const dim* step, const real* weight,
    const real* bias, bint relu,
    real* planes,                               # out  (filters, CHUNK_VECTORS)
    vec* tag,
) noexcept nogil:
    """planes = the sum over the taps at the next output pixels; the row has ``left`` of them."""
    cdef dim size = lanes(sizeof(real)), p, f, i
    cdef vec acc[BLOCK_FILTERS][CHUNK_VECTORS]
    cdef vec v[CHUNK_VECTORS]
    cdef vec w
    for f in range(filters):
        for i in range(CHUNK_VECTORS):
            vfill(acc[f][i], 0)
    for p in range(k):                          # vload_tail would branch for each vector
        for i in range(CHUNK_VECTORS):
            vload_first(v[i], x + step[p] + i * size, least(size, max(0, left - i * size)))
        for f in range(filters):
            vfill(w, weight[p * co + f])
            for i in range(CHUNK_VECTORS):
                acc[f][i] = acc[f][i] + v[i] * w
    for f in range(filters):
        vfill(w, 0)
        if bias != NULL:
            vfill(w, bias[f])
        for i in range(CHUNK_VECTORS):
            acc[f][i] = acc[f][i] + w
        if relu:
            vfill(w, 0)
            for i in range(CHUNK_VECTORS):
                vrelu(acc[f][i], w)
        for i in range(CHUNK_VECTORS):
            vstore(planes + (f * CHUNK_VECTORS + i) * size, acc[f][i])


cdef inline void multiply_row(
    dim width, dim co, dim k, const real* x, const dim* step, const real* weight,
    real* y, const real* bias, bint relu, vec* tag,
) noexcept nogil:
    """Do the work of `one_channel_multiply` for one row."""
    cdef dim chunk = CHUNK_VECTORS * lanes(sizeof(real)), j = 0, f, count
    cdef real planes[MAX_FILTERS * CHUNK_VECTORS * MAX_LANES]
    while j < width:
        f = 0
        while f < co:
            if VBYTES == 64 and f + BLOCK_FILTERS <= co:
                count = BLOCK_FILTERS
                filter_chunk[real, vec](BLOCK_FILTERS, co, k, width - j, x + j, step, weight + f,
                                        NULL if bias == NULL else bias + f, relu,
                                        planes + f * chunk, NULL)
            elif f + 4 <= co:
                count = 4
                filter_chunk[real, vec](4, co, k, width - j, x + j, step, weight + f,
                                        NULL if bias == NULL else bias + f, relu,
                                        planes + f * chunk, NULL)
            elif f + 2 <= co:
                count = 2
                filter_chunk[real, vec](2, co, k, width - j, x + j, step, weight + f,
                                        NULL if bias == NULL else bias + f, relu,
                                        planes + f * chunk, NULL)
            else:
                count = 1
                filter_chunk[real, vec](1, co, k, width - j, x + j, step, weight + f,
                                        NULL if bias == NULL else bias + f, relu,
                                        planes + f * chunk, NULL)
            f += count
        transpose_matrix(co, least(chunk, width - j), planes, chunk, y + j * co, co)
        j += chunk


cdef void one_channel_multiply(
    dim rows, dim width, dim co, dim k,
    const real* x, const dim* row, const dim* step,     # `row` of every output pixel
    const real* weight,                                 # (k, co)
    real* y,                                            # (rows, width, co)
    const real* bias, bint relu,                        # as in `gemm.multiply`
) noexcept nogil:
    """y = the sum over the taps of x times weight, plus bias."""
    cdef dim r
    for r in range(rows):
        if real is float:
            multiply_row[real, vecf](width, co, k, x + row[r * width], step, weight,
                                     y + r * width * co, bias, relu, NULL)
        else:
            multiply_row[real, vecd](width, co, k, x + row[r * width], step, weight,
                                     y + r * width * co, bias, relu, NULL)


cdef inline void sum_lanes(dim n, real* vectors, real* sums) noexcept nogil:
    """sums = the sums of the elements of n vectors, four by four: up to three more are written.

    The vectors lie MAX_LANES apart, and are overwritten.
    """
    cdef dim size = lanes(sizeof(real)), v, i, j
    cdef real four[4][4]
    cdef shortf total, more
    if real is float:
        for v in range(n):
            vload(total, vectors + v * MAX_LANES)
            for j in range(4, size, 4):
                vload(more, vectors + v * MAX_LANES + j)
                total = total + more
            vstore(vectors + v * MAX_LANES, total)
        for v in range(0, n, 4):                        # four vectors side by side
            transpose_4x4(&four[0][0], 4, vectors + v * MAX_LANES, MAX_LANES)
            vload(total, four[0])
            for i in range(1, 4):
                vload(more, four[i])
                total = total + more
            vstore(sums + v, total)
    else:
        for v in range(n):
            j = size // 2
            while j > 0:
                for i in range(j):
                    vectors[v * MAX_LANES + i] += vectors[v * MAX_LANES + j + i]
                j = j // 2
            sums[v] = vectors[v * MAX_LANES]


cdef inline void tap_block(
    dim filters, dim taps,                      # literals: how many of them
    dim rows, dim width, dim co, dim plane, const real* x, const dim* row, const dim* step,
    const real* planes, real* dw, bint add, vec* tag,
) noexcept nogil:
    """dw (+)= the sum over the output pixels for a block of taps and filters."""
    cdef dim size = lanes(sizeof(real)), r, f, p, j
    cdef vec acc[BLOCK_FILTERS][BLOCK_TAPS]
    cdef vec g[BLOCK_FILTERS]
    cdef vec v
    cdef real vectors[BLOCK_SUMS][MAX_LANES]
    cdef real sums[BLOCK_SUMS]
    cdef real sum
    for f in range(filters):
        for p in range(taps):
            vfill(acc[f][p], 0)
    for r in range(rows):
        j = 0
        while j < width:
            for f in range(filters):
                vload(g[f], planes + f * plane + j)
            for p in range(taps):
                vload_first(v, x + row[r * width] + j + offset(step, p), least(size, width - j))
                for f in range(filters):
                    acc[f][p] = acc[f][p] + v * g[f]
            j += size
        planes += padded(width, sizeof(real))
    for f in range(filters):
        for p in range(taps):
            vstore(vectors[p * filters + f], acc[f][p])
    sum_lanes(filters * taps, &vectors[0][0], sums)
    for p in range(taps):
        for f in range(filters):
            sum = sums[p * filters + f]
            dw[p * co + f] = dw[p * co + f] + sum if add else sum


cdef inline void filter_block(
    dim filters, dim taps,                      # literals: how many at a time
    dim rows, dim width, dim co, dim k, dim plane, const real* x, const dim* row, const dim* step,
    const real* planes, real* dw, bint add, double* dbias, vec* tag,
) noexcept nogil:
    """Do the work of `sum_rows` for a block of filters."""
    cdef dim size = lanes(sizeof(real)), p, f
    cdef vec total[BLOCK_FILTERS]
    cdef vec v
    cdef real vectors[BLOCK_FILTERS + 3][MAX_LANES]
    cdef real sums[BLOCK_FILTERS + 3]
    if dbias != NULL:
        for f in range(filters):
            vfill(total[f], 0)
        for p in range(rows * padded(width, sizeof(real)) // size):
            for f in range(filters):
                vload(v, planes + f * plane + p * size)
                total[f] = total[f] + v
        for f in range(filters):
            vstore(vectors[f], total[f])
        sum_lanes(filters, &vectors[0][0], sums)
        for f in range(filters):
            dbias[f] += sums[f]
    p = 0
    while p + taps <= k:
        tap_block[real, vec](filters, taps, rows, width, co, plane, x, row, step + p, planes,
                             dw + p * co, add, NULL)
        p += taps
    while p < k:
        tap_block[real, vec](filters, 1, rows, width, co, plane, x, row, step + p, planes,
                             dw + p * co, add, NULL)
        p += 1


cdef inline void sum_rows(
    dim rows, dim width, dim co, dim k, dim plane, const real* x, const dim* row, const dim* step,
    const real* planes, real* dw, bint add, double* dbias, vec* tag,
) noexcept nogil:
    """Do the work of `one_channel_sum` for rows of at most CHAIN vectors."""
    cdef dim f = 0, count
    while f < co:
        if VBYTES == 64 and f + BLOCK_FILTERS <= co:
            count = BLOCK_FILTERS
            filter_block[real, vec](BLOCK_FILTERS, BLOCK_SUMS // BLOCK_FILTERS, rows, width, co, k,
                                    plane, x, row, step, planes + f * plane, dw + f, add,
                                    NULL if dbias == NULL else dbias + f, NULL)
        elif f + 2 <= co:
            count = 2
            filter_block[real, vec](2, BLOCK_TAPS if VBYTES == 64 else PAIR_TAPS, rows, width, co,
                                    k, plane, x, row, step, planes + f * plane, dw + f, add,
                                    NULL if dbias == NULL else dbias + f, NULL)
        else:
            count = 1
            filter_block[real, vec](1, BLOCK_TAPS, rows, width, co, k, plane, x, row, step,
                                    planes + f * plane, dw + f, add,
                                    NULL if dbias == NULL else dbias + f, NULL)
        f += count


cdef void one_channel_sum(
    dim rows, dim width, dim co, dim k,
    const real* x, const dim* row, const dim* step,     # as in `one_channel_multiply`
    const real* dy,                                     # (rows, width, co)
    real* dw, bint add,                                 # (k, co); add to it, or overwrite it
    double* dbias,                                      # (co,), added to, or NULL
    real* space,                                        # workspace, see one_channel_space
) noexcept nogil:
    """dw (+)= the sum over the output pixels of x times dy; dbias += that of dy."""
    cdef dim line = padded(width, sizeof(real)), plane = rows * line, r = 0, count
    cdef dim max_rows = max(1, CHAIN * <dim> lanes(sizeof(real)) // line)
    if line > width:
        memset(space, 0, plane * co * sizeof(real))
    for r in range(rows):
        transpose_matrix(width, co, dy + r * width * co, co, space + r * line, plane)
    r = 0
    while r < rows:
        count = least(max_rows, rows - r)
        if real is float:
            sum_rows[real, vecf](count, width, co, k, plane, x, row + r * width, step,
                                 space + r * line, dw, add or r > 0, dbias, NULL)
        else:
            sum_rows[real, vecd](count, width, co, k, plane, x, row + r * width, step,
                                 space + r * line, dw, add or r > 0, dbias, NULL)
        r += count
