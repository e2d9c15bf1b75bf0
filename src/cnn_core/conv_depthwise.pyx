"""Depthwise convolution: a filter of its own for each channel.

It takes the place of `gemm.multiply` in `conv_indirect`. There is no product of matrices here, only
a sum over the taps for each channel. So a vector holds channels, and loads bound the time: a block
of output pixels shares the weights, a block of taps the gradient.

    m, c, k     output pixels, channels, taps
    row, step   the window of output pixel i begins at row[i], its tap p lies step[p] further
"""
from cnn_core.gemm cimport CHAIN
from cnn_core.simd cimport lanes, vdrelu, vec, vecd, vecf, vfill, vload_tail, vrelu, vstore_tail
from cnn_core.types cimport dim, least, real

cdef enum:
    ACCUMULATORS = 4        # output pixels, or taps of a weight gradient, computed together


cdef inline void pixel_block(
    dim pixels,                                 # a literal: how many output pixels
    dim k, dim c, dim left, const real* a, const dim* row, const dim* step, const real* weight,
    real* y, const dim* out, const real* bias, const real* drelu, bint relu, vec* tag,
) noexcept nogil:
    """y = the sum over the taps for a block of output pixels and a vector of channels."""
    cdef vec total[ACCUMULATORS]
    cdef vec acc[ACCUMULATORS]
    cdef vec w, v, zero
    cdef dim p = 0, end, i
    vfill(zero, 0)
    for i in range(pixels):
        total[i] = zero
        if bias != NULL:
            vload_tail(v, bias, left)
            total[i] = v
    while p < k:
        end = least(k, p + CHAIN)
        for i in range(pixels):
            acc[i] = zero
        while p < end:
            vload_tail(w, weight + p * c, left)
            for i in range(pixels):
                vload_tail(v, a + row[i] + step[p], left)
                acc[i] = acc[i] + v * w
            p += 1
        for i in range(pixels):
            total[i] = total[i] + acc[i]
    for i in range(pixels):
        v = total[i]
        if relu:
            vrelu(v, zero)
        if drelu != NULL:
            vload_tail(w, drelu + out[i], left)
            vdrelu(v, w, zero)
        vstore_tail(y + out[i], v, left)


cdef inline void all_pixels(
    dim m, dim c, dim k, const real* a, const dim* row, const dim* step, const real* weight,
    real* y, const dim* out, const real* bias, const real* drelu, bint relu, vec* tag,
) noexcept nogil:
    """Do the work of `depthwise_multiply`."""
    cdef dim j = 0, i
    while j < c:
        i = 0
        while i < m:
            if m - i >= ACCUMULATORS:
                pixel_block[real, vec](ACCUMULATORS, k, c, c - j, a + j, row + i, step, weight + j,
                                       y + j, out + i, NULL if bias == NULL else bias + j,
                                       NULL if drelu == NULL else drelu + j, relu, NULL)
                i += ACCUMULATORS
            else:
                pixel_block[real, vec](1, k, c, c - j, a + j, row + i, step, weight + j,
                                       y + j, out + i, NULL if bias == NULL else bias + j,
                                       NULL if drelu == NULL else drelu + j, relu, NULL)
                i += 1
        j += lanes(sizeof(real))


cdef void depthwise_multiply(
    dim m, dim c, dim k,
    const real* a, const dim* row, const dim* step,     # channels at row[i] + step[p]
    const real* weight,                                 # (k, c)
    real* y, const dim* out,                            # output pixel i at out[i]
    const real* bias, const real* drelu, bint relu,     # as in `gemm.multiply`
) noexcept nogil:
    """y = the sum over the taps of a times weight, plus bias."""
    if real is float:
        all_pixels[real, vecf](m, c, k, a, row, step, weight, y, out, bias, drelu, relu, NULL)
    else:
        all_pixels[real, vecd](m, c, k, a, row, step, weight, y, out, bias, drelu, relu, NULL)


cdef inline void tap_block(
    dim taps,                                   # a literal: how many taps
    dim m, dim c, dim left, const real* a, const dim* row, const dim* step, const real* dy,
    real* dw, bint add, vec* tag,
) noexcept nogil:
    """dw (+)= the sum over the output pixels for a block of taps and a vector of channels."""
    cdef vec acc[ACCUMULATORS]
    cdef vec g, v
    cdef dim i, p
    for p in range(taps):
        vfill(acc[p], 0)
    for i in range(m):
        vload_tail(g, dy + i * c, left)
        for p in range(taps):
            vload_tail(v, a + row[i] + step[p], left)
            acc[p] = acc[p] + v * g
    for p in range(taps):
        v = acc[p]
        if add:
            vload_tail(g, dw + p * c, left)
            v = g + v
        vstore_tail(dw + p * c, v, left)


cdef inline void all_taps(
    dim m, dim c, dim k, const real* a, const dim* row, const dim* step, const real* dy,
    real* dw, bint add, vec* tag,
) noexcept nogil:
    """Do the work of `depthwise_sum`."""
    cdef dim j = 0, p
    while j < c:
        p = 0
        while p < k:
            if k - p >= ACCUMULATORS:
                tap_block[real, vec](ACCUMULATORS, m, c, c - j, a + j, row, step + p, dy + j,
                                     dw + p * c + j, add, NULL)
                p += ACCUMULATORS
            else:
                tap_block[real, vec](1, m, c, c - j, a + j, row, step + p, dy + j,
                                     dw + p * c + j, add, NULL)
                p += 1
        j += lanes(sizeof(real))


cdef void depthwise_sum(
    dim m, dim c, dim k,                                # m: at most CHAIN
    const real* a, const dim* row, const dim* step,     # channels at row[i] + step[p]
    const real* dy,                                     # (m, c)
    real* dw, bint add,                                 # (k, c); add to it, or overwrite it
) noexcept nogil:
    """dw (+)= the sum over the output pixels of a times dy."""
    if real is float:
        all_taps[real, vecf](m, c, k, a, row, step, dy, dw, add, NULL)
    else:
        all_taps[real, vecd](m, c, k, a, row, step, dy, dw, add, NULL)
