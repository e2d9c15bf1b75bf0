"""Convolution of one channel to few filters: a vector holds neighbouring pixels of a row.

What `gemm.multiply` is to other convolutions. Filters would fill only a part of a vector there,
6 of 16 lanes in the first layer of a LeNet-5. At stride 1 the pixels under one tap of neighbouring
windows are neighbours too, so here each filter is a plane of its own, until its results take their
place beside those of the others.

    rows, width   of places       co   filters       k   taps
    row, step     place i of tap p lies at row[i] + step[p], the places of a row one by one
"""
from libc.string cimport memset

from cnn_core.gemm cimport CHAIN
from cnn_core.simd cimport VBYTES, offset, shortf, transpose_4x4, vec, vecd, vecf, vfill, vload
from cnn_core.simd cimport vload_some, vrelu, vstore
from cnn_core.transpose cimport transpose_matrix
from cnn_core.types cimport blocks_of, dim, least, real

cdef enum:
    MOST = 8            # filters, at most
    STRIP = 2           # vectors of pixels at a time
    FILTERS = 6         # at a time, at most;
    TAPS = 8            # and taps of a weight gradient,
    SUMS = 24           # of which so many are in registers


cdef bint planes_serve(dim c, dim co, dim k, dim sw, dim groups, dim itemsize) noexcept nogil:
    """Return whether a convolution is one for this module: half a vector of filters at most."""
    return (c == 1 and groups == 1 and sw == 1 and k <= CHAIN and co <= MOST
            and 2 * co * itemsize <= VBYTES)


cdef inline dim padded(dim width, dim itemsize) noexcept nogil:
    """Return the places of a row as whole vectors."""
    return blocks_of(width * itemsize, VBYTES) * VBYTES // itemsize


cdef dim planes_space(dim rows, dim width, dim co, dim itemsize) noexcept nogil:
    """Return how many numbers `planes_sum` needs as workspace."""
    return rows * padded(width, itemsize) * co


cdef inline void filter_strip(
    dim filters,                                # a literal: how many filters
    dim co, dim k, dim left, const real* x, const dim* step, const real* weight,
    const real* bias, bint relu,
    real* planes,                               # out  (filters, STRIP vectors)
    vec* lane,
) noexcept nogil:
    """Sum over the taps at the next places of a row, of which ``left`` are left."""
    cdef dim size = VBYTES // sizeof(real), p, f, i
    cdef vec acc[FILTERS][STRIP]
    cdef vec v[STRIP]
    cdef vec w
    for f in range(filters):
        for i in range(STRIP):
            vfill(acc[f][i], 0)
    for p in range(k):
        for i in range(STRIP):
            vload_some(v[i], x + step[p] + i * size, least(size, max(0, left - i * size)))
        for f in range(filters):
            vfill(w, weight[p * co + f])
            for i in range(STRIP):
                acc[f][i] = acc[f][i] + v[i] * w
    for f in range(filters):
        vfill(w, 0)
        if bias != NULL:
            vfill(w, bias[f])
        for i in range(STRIP):
            acc[f][i] = acc[f][i] + w
        if relu:
            vfill(w, 0)
            for i in range(STRIP):
                vrelu(acc[f][i], w)
        for i in range(STRIP):
            vstore(planes + (f * STRIP + i) * size, acc[f][i])


cdef inline void multiply_row(
    dim width, dim co, dim k, const real* x, const dim* step, const real* weight,
    real* y, const real* bias, bint relu, vec* lane,
) noexcept nogil:
    """Do the work of `planes_multiply` for one row."""
    cdef dim strip = STRIP * VBYTES // sizeof(real), j = 0, f, some
    cdef real planes[MOST * STRIP * 16]
    while j < width:
        f = 0
        while f < co:
            if VBYTES == 64 and f + 6 <= co:
                some = 6
                filter_strip[real, vec](6, co, k, width - j, x + j, step, weight + f,
                                        NULL if bias == NULL else bias + f, relu,
                                        planes + f * strip, NULL)
            elif f + 4 <= co:
                some = 4
                filter_strip[real, vec](4, co, k, width - j, x + j, step, weight + f,
                                        NULL if bias == NULL else bias + f, relu,
                                        planes + f * strip, NULL)
            elif f + 2 <= co:
                some = 2
                filter_strip[real, vec](2, co, k, width - j, x + j, step, weight + f,
                                        NULL if bias == NULL else bias + f, relu,
                                        planes + f * strip, NULL)
            else:
                some = 1
                filter_strip[real, vec](1, co, k, width - j, x + j, step, weight + f,
                                        NULL if bias == NULL else bias + f, relu,
                                        planes + f * strip, NULL)
            f += some
        transpose_matrix(co, least(strip, width - j), planes, strip, y + j * co, co)
        j += strip


cdef void planes_multiply(
    dim rows, dim width, dim co, dim k,
    const real* x, const dim* row, const dim* step,     # `row` of every place, see above
    const real* weight,                                 # (k, co)
    real* y,                                            # (rows, width, co)
    const real* bias, bint relu,                        # as of `gemm.multiply`
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


cdef inline void sum_lanes(dim n, real* lanes, real* sums) noexcept nogil:
    """sums = the sums of the lanes of n vectors, four by four: up to three more are written.

    The vectors lie 16 numbers apart, and are overwritten.
    """
    cdef dim size = VBYTES // sizeof(real), v, i, j
    cdef real four[4][4]
    cdef shortf total, more
    if real is float:
        for v in range(n):
            vload(total, lanes + v * 16)
            for j in range(4, size, 4):
                vload(more, lanes + v * 16 + j)
                total = total + more
            vstore(lanes + v * 16, total)
        for v in range(0, n, 4):                        # four vectors side by side
            transpose_4x4(&four[0][0], 4, lanes + v * 16, 16)
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
                    lanes[v * 16 + i] += lanes[v * 16 + j + i]
                j = j // 2
            sums[v] = lanes[v * 16]


cdef inline void tap_block(
    dim filters, dim taps,                      # literals: how many of them
    dim rows, dim width, dim co, dim plane, const real* x, const dim* row, const dim* step,
    const real* planes, real* dw, bint add, vec* lane,
) noexcept nogil:
    """dw (+)= the sum over the places for some taps and filters."""
    cdef dim size = VBYTES // sizeof(real), r, f, p, j
    cdef vec acc[FILTERS][TAPS]
    cdef vec g[FILTERS]
    cdef vec v
    cdef real lanes[SUMS][16]
    cdef real sums[SUMS]
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
                vload_some(v, x + row[r * width] + j + offset(step, p), least(size, width - j))
                for f in range(filters):
                    acc[f][p] = acc[f][p] + v * g[f]
            j += size
        planes += padded(width, sizeof(real))
    for f in range(filters):
        for p in range(taps):
            vstore(lanes[p * filters + f], acc[f][p])
    sum_lanes(filters * taps, &lanes[0][0], sums)
    for p in range(taps):
        for f in range(filters):
            sum = sums[p * filters + f]
            dw[p * co + f] = dw[p * co + f] + sum if add else sum


cdef inline void filter_block(
    dim filters, dim taps,                      # literals: how many at a time
    dim rows, dim width, dim co, dim k, dim plane, const real* x, const dim* row, const dim* step,
    const real* planes, real* dw, bint add, double* dbias, vec* lane,
) noexcept nogil:
    """Do the work of `sum_rows` for some filters."""
    cdef dim size = VBYTES // sizeof(real), p, f
    cdef vec total[FILTERS]
    cdef vec v
    cdef real lanes[FILTERS + 3][16]
    cdef real sums[FILTERS + 3]
    if dbias != NULL:
        for f in range(filters):
            vfill(total[f], 0)
        for p in range(rows * padded(width, sizeof(real)) // size):
            for f in range(filters):
                vload(v, planes + f * plane + p * size)
                total[f] = total[f] + v
        for f in range(filters):
            vstore(lanes[f], total[f])
        sum_lanes(filters, &lanes[0][0], sums)
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
    const real* planes, real* dw, bint add, double* dbias, vec* lane,
) noexcept nogil:
    """Do the work of `planes_sum`: rows of at most CHAIN vectors."""
    cdef dim f = 0, some
    while f < co:
        if VBYTES == 64 and f + 6 <= co:        # 24 of 32 registers hold sums, 10 of 16
            some = 6
            filter_block[real, vec](6, 4, rows, width, co, k, plane, x, row, step,
                                    planes + f * plane, dw + f, add,
                                    NULL if dbias == NULL else dbias + f, NULL)
        elif f + 2 <= co:
            some = 2
            filter_block[real, vec](2, 8 if VBYTES == 64 else 5, rows, width, co, k, plane, x, row,
                                    step, planes + f * plane, dw + f, add,
                                    NULL if dbias == NULL else dbias + f, NULL)
        else:
            some = 1
            filter_block[real, vec](1, 8, rows, width, co, k, plane, x, row, step,
                                    planes + f * plane, dw + f, add,
                                    NULL if dbias == NULL else dbias + f, NULL)
        f += some


cdef void planes_sum(
    dim rows, dim width, dim co, dim k,
    const real* x, const dim* row, const dim* step,     # as of planes_multiply
    const real* dy,                                     # (rows, width, co)
    real* dw, bint add,                                 # (k, co); add to it, or overwrite it
    double* dbias,                                      # (co,), added to, or NULL
    real* space,                                        # workspace, see planes_space
) noexcept nogil:
    """dw (+)= the sum over the places of x times dy; dbias += that of dy."""
    cdef dim line = padded(width, sizeof(real)), plane = rows * line, r = 0, some
    cdef dim most = max(1, CHAIN * VBYTES // <dim> sizeof(real) // line)
    if line > width:
        memset(space, 0, plane * co * sizeof(real))
    for r in range(rows):
        transpose_matrix(width, co, dy + r * width * co, co, space + r * line, plane)
    r = 0
    while r < rows:
        some = least(most, rows - r)
        if real is float:
            sum_rows[real, vecf](some, width, co, k, plane, x, row + r * width, step,
                                 space + r * line, dw, add or r > 0, dbias, NULL)
        else:
            sum_rows[real, vecd](some, width, co, k, plane, x, row + r * width, step,
                                 space + r * line, dw, add or r > 0, dbias, NULL)
        r += some
