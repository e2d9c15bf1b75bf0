"""Depthwise convolution: a filter of its own for each channel.

What `gemm.multiply` is to other convolutions. There is no product of matrices here, only a sum over
the taps for each channel, so a vector holds channels, and loads bound the time: a block of places
shares the weights, a block of taps the gradient.

    m, c, k   places, channels, taps      row, step   where they lie: see `gemm`
"""
from cnn_core.gemm cimport CHAIN
from cnn_core.simd cimport VBYTES, vec, vecd, vecf, vfill, vdrelu, vload, vload_some, vrelu, vstore
from cnn_core.simd cimport vstore_some
from cnn_core.types cimport dim, least, real


cdef inline void part(const real* at, dim left, vec* v) noexcept nogil:
    """v = the channels at ``at``, of which ``left`` are left."""
    if left * <dim> sizeof(real) >= VBYTES:
        vload(v[0], at)
    else:
        vload_some(v[0], at, left)


cdef inline void places(
    dim many,                                   # a literal: how many places
    dim k, dim c, dim left, const real* a, const dim* row, const dim* step, const real* weight,
    real* y, const dim* out, const real* bias, const real* gate, bint relu, vec* lane,
) noexcept nogil:
    """y = the sum over the taps at some places, for one vector of channels."""
    cdef vec total[4]
    cdef vec acc[4]
    cdef vec w, v, zero
    cdef dim p = 0, end, i
    vfill(zero, 0)
    for i in range(many):
        total[i] = zero
        if bias != NULL:
            part[real, vec](bias, left, &v)
            total[i] = v
    while p < k:
        end = least(k, p + CHAIN)
        for i in range(many):
            acc[i] = zero
        while p < end:
            part[real, vec](weight + p * c, left, &w)
            for i in range(many):
                part[real, vec](a + row[i] + step[p], left, &v)
                acc[i] = acc[i] + v * w
            p += 1
        for i in range(many):
            total[i] = total[i] + acc[i]
    for i in range(many):
        v = total[i]
        if relu:
            vrelu(v, zero)
        if gate != NULL:
            part[real, vec](gate + out[i], left, &w)
            vdrelu(v, w, zero)
        if left * <dim> sizeof(real) >= VBYTES:
            vstore(y + out[i], v)
        else:
            vstore_some(y + out[i], v, left)


cdef inline void all_places(
    dim m, dim c, dim k, const real* a, const dim* row, const dim* step, const real* weight,
    real* y, const dim* out, const real* bias, const real* gate, bint relu, vec* lane,
) noexcept nogil:
    """Do the work of `depthwise_multiply`."""
    cdef dim j = 0, i
    while j < c:
        i = 0
        while i < m:
            if m - i >= 4:
                places[real, vec](4, k, c, c - j, a + j, row + i, step, weight + j, y + j, out + i,
                                  NULL if bias == NULL else bias + j,
                                  NULL if gate == NULL else gate + j, relu, NULL)
                i += 4
            else:
                places[real, vec](1, k, c, c - j, a + j, row + i, step, weight + j, y + j, out + i,
                                  NULL if bias == NULL else bias + j,
                                  NULL if gate == NULL else gate + j, relu, NULL)
                i += 1
        j += VBYTES // sizeof(real)


cdef void depthwise_multiply(
    dim m, dim c, dim k,
    const real* a, const dim* row, const dim* step,     # channels at row[i] + step[p]
    const real* weight,                                 # (k, c)
    real* y, const dim* out,                            # place i at out[i]
    const real* bias, const real* gate, bint relu,      # as of `gemm.multiply`
) noexcept nogil:
    """y = the sum over the taps of a times weight, plus bias."""
    if real is float:
        all_places[real, vecf](m, c, k, a, row, step, weight, y, out, bias, gate, relu, NULL)
    else:
        all_places[real, vecd](m, c, k, a, row, step, weight, y, out, bias, gate, relu, NULL)


cdef inline void taps(
    dim many,                                   # a literal: how many taps
    dim m, dim c, dim left, const real* a, const dim* row, const dim* step, const real* dy,
    real* dw, bint add, vec* lane,
) noexcept nogil:
    """dw (+)= the sum over the places for some taps and one vector of channels."""
    cdef vec acc[4]
    cdef vec g, v
    cdef dim i, p
    for p in range(many):
        vfill(acc[p], 0)
    for i in range(m):
        part[real, vec](dy + i * c, left, &g)
        for p in range(many):
            part[real, vec](a + row[i] + step[p], left, &v)
            acc[p] = acc[p] + v * g
    for p in range(many):
        v = acc[p]
        if add:
            part[real, vec](dw + p * c, left, &g)
            v = g + v
        if left * <dim> sizeof(real) >= VBYTES:
            vstore(dw + p * c, v)
        else:
            vstore_some(dw + p * c, v, left)


cdef inline void all_taps(
    dim m, dim c, dim k, const real* a, const dim* row, const dim* step, const real* dy,
    real* dw, bint add, vec* lane,
) noexcept nogil:
    """Do the work of `depthwise_sum`."""
    cdef dim j = 0, p
    while j < c:
        p = 0
        while p < k:
            if k - p >= 4:
                taps[real, vec](4, m, c, c - j, a + j, row, step + p, dy + j, dw + p * c + j,
                                add, NULL)
                p += 4
            else:
                taps[real, vec](1, m, c, c - j, a + j, row, step + p, dy + j, dw + p * c + j,
                                add, NULL)
                p += 1
        j += VBYTES // sizeof(real)


cdef void depthwise_sum(
    dim m, dim c, dim k,                                # m: at most CHAIN
    const real* a, const dim* row, const dim* step,     # channels at row[i] + step[p]
    const real* dy,                                     # (m, c)
    real* dw, bint add,                                 # (k, c); add to it, or overwrite it
) noexcept nogil:
    """dw (+)= the sum over the places of a times dy."""
    if real is float:
        all_taps[real, vecf](m, c, k, a, row, step, dy, dw, add, NULL)
    else:
        all_taps[real, vecd](m, c, k, a, row, step, dy, dw, add, NULL)
