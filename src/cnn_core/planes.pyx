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
from cnn_core.simd cimport VBYTES, offset, transpose, vec, vecd, vecf, vfill, vload, vload_some
from cnn_core.simd cimport vrelu, vstore
from cnn_core.types cimport blocks_of, dim, least, real

cdef enum:
    MOST = 8            # filters, at most
    STRIP = 2           # vectors of pixels at a time
    PAIR = 2            # filters of a weight gradient at a time,
    TAPS = 8            # and taps


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
    cdef vec acc[4][STRIP]
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


cdef inline void interleave(
    const real* planes, dim plane, dim co, dim count, real* y,
) noexcept nogil:
    """y[i, f] = planes[f, i]."""
    cdef dim whole = count // 4 * 4, i = 0, f = 0, j
    while f + 4 <= co:
        i = 0
        while i < whole:
            transpose(y + i * co + f, co, planes + f * plane + i, plane)
            i += 4
        while i < count:
            for j in range(f, f + 4):
                y[i * co + j] = planes[j * plane + i]
            i += 1
        f += 4
    while f < co:
        for i in range(count):
            y[i * co + f] = planes[f * plane + i]
        f += 1


cdef inline void multiply_row(
    dim width, dim co, dim k, const real* x, const dim* step, const real* weight,
    real* y, const real* bias, bint relu, vec* lane,
) noexcept nogil:
    """Do the work of `planes_multiply` for one row."""
    cdef dim strip = STRIP * VBYTES // sizeof(real), j = 0, f
    cdef real planes[MOST * STRIP * 16]
    while j < width:
        f = 0
        while f + 4 <= co:
            filter_strip[real, vec](4, co, k, width - j, x + j, step, weight + f,
                                    NULL if bias == NULL else bias + f, relu, planes + f * strip,
                                    NULL)
            f += 4
        while f + 2 <= co:
            filter_strip[real, vec](2, co, k, width - j, x + j, step, weight + f,
                                    NULL if bias == NULL else bias + f, relu, planes + f * strip,
                                    NULL)
            f += 2
        if f < co:
            filter_strip[real, vec](1, co, k, width - j, x + j, step, weight + f,
                                    NULL if bias == NULL else bias + f, relu, planes + f * strip,
                                    NULL)
        interleave(planes, strip, co, least(strip, width - j), y + j * co)
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


cdef inline real add_lanes(real* lanes) noexcept nogil:
    """Return the sum of the lanes of a vector, two by two; they are overwritten."""
    cdef dim j = VBYTES // sizeof(real) // 2, i
    while j > 0:
        for i in range(j):
            lanes[i] += lanes[j + i]
        j = j // 2
    return lanes[0]


cdef inline void tap_block(
    dim filters, dim taps,                      # literals: how many of them
    dim rows, dim width, dim co, dim plane, const real* x, const dim* row, const dim* step,
    const real* planes, real* dw, bint add, vec* lane,
) noexcept nogil:
    """dw (+)= the sum over the places for some taps and filters."""
    cdef dim size = VBYTES // sizeof(real), r, f, p, j
    cdef vec acc[PAIR][TAPS]
    cdef vec g[PAIR]
    cdef vec v
    cdef real lanes[PAIR * TAPS][16]
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
            vstore(lanes[f * TAPS + p], acc[f][p])
    for f in range(filters):
        for p in range(taps):
            sum = add_lanes(lanes[f * TAPS + p])
            dw[p * co + f] = dw[p * co + f] + sum if add else sum


cdef inline void sum_rows(
    dim rows, dim width, dim co, dim k, dim plane, const real* x, const dim* row, const dim* step,
    const real* planes, real* dw, bint add, double* dbias, vec* lane,
) noexcept nogil:
    """Do the work of `planes_sum`: rows of at most CHAIN vectors."""
    cdef dim f = 0, p
    cdef vec sum, v
    cdef real lanes[16]
    if dbias != NULL:
        for f in range(co):
            vfill(sum, 0)
            for p in range(rows * padded(width, sizeof(real)) * <dim> sizeof(real) // VBYTES):
                vload(v, planes + f * plane + p * (VBYTES // sizeof(real)))
                sum = sum + v
            vstore(lanes, sum)
            dbias[f] += add_lanes(lanes)
        f = 0
    while f < co:
        p = 0
        while p < k:
            if f + PAIR <= co and p + TAPS <= k:
                tap_block[real, vec](PAIR, TAPS, rows, width, co, plane, x, row, step + p,
                                     planes + f * plane, dw + p * co + f, add, NULL)
                p += TAPS
            elif f + PAIR <= co:
                tap_block[real, vec](PAIR, 1, rows, width, co, plane, x, row, step + p,
                                     planes + f * plane, dw + p * co + f, add, NULL)
                p += 1
            else:
                tap_block[real, vec](1, 1, rows, width, co, plane, x, row, step + p,
                                     planes + f * plane, dw + p * co + f, add, NULL)
                p += 1
        f += PAIR


cdef void planes_sum(
    dim rows, dim width, dim co, dim k,
    const real* x, const dim* row, const dim* step,     # as of planes_multiply
    const real* dy,                                     # (rows, width, co)
    real* dw, bint add,                                 # (k, co); add to it, or overwrite it
    double* dbias,                                      # (co,), added to, or NULL
    real* space,                                        # workspace, see planes_space
) noexcept nogil:
    """dw (+)= the sum over the places of x times dy; dbias += that of dy."""
    cdef dim line = padded(width, sizeof(real)), plane = rows * line, r = 0, some, f, j
    cdef dim most = max(1, CHAIN * VBYTES // <dim> sizeof(real) // line)
    if line > width:
        memset(space, 0, plane * co * sizeof(real))
    for r in range(rows):
        f = 0
        while f + 4 <= co:
            j = 0
            while j + 4 <= width:
                transpose(space + f * plane + r * line + j, plane,
                          dy + (r * width + j) * co + f, co)
                j += 4
            while j < width:
                for some in range(f, f + 4):
                    space[some * plane + r * line + j] = dy[(r * width + j) * co + some]
                j += 1
            f += 4
        while f < co:
            for j in range(width):
                space[f * plane + r * line + j] = dy[(r * width + j) * co + f]
            f += 1
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
