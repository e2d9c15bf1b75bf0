# cython: cdivision=True, language_level=3
"""Pooling by windows of 2 x 2 side by side, which nearly all are: the same as `pool`, to the bit.

The bounds of the loops for any window cost more than what is done with four numbers. `pool` uses
these in float32 only, to keep its module small.
"""
from libc.math cimport INFINITY
from libc.string cimport memset

from cnn_core.argmax_pack cimport first_bit, keep_larger, load_argmax, load_drelu, shifted
from cnn_core.argmax_pack cimport store_argmax, where_argmax
from cnn_core.pool_windows cimport MEAN_UNDIVIDED, Pooling
from cnn_core.simd cimport vadd, vector, vfill, vfill_bits, vload, vmultiply, vstore
from cnn_core.types cimport blocks_of, dim, least, real

cdef enum:
    LOG2_WINDOWS = 2    # 2^LOG2_WINDOWS windows of 2 x 2 in a word of argmax, in float32


cdef inline bint clear_rest(real* dx, dim a, const Pooling* p) noexcept nogil:
    """Write 0 where no window covers row a of dx; return whether any covers it."""
    cdef dim covered = 2 * p.ow * p.c if a // 2 < p.oh else 0
    if covered < p.w * p.c:
        memset(dx + covered, 0, (p.w * p.c - covered) * sizeof(real))
    return covered > 0


cdef inline void max_2x2_forward(
    const real* x, real* y, real* argmax, dim i, const Pooling* p, vector* tag,
) noexcept nogil:
    """y = largest pixel of each window; of equals the first wins, of NaNs the last."""
    cdef dim size = sizeof(vector) // sizeof(real), c = p.c, line = p.w * c, j, q, k, b, bit
    cdef const real* pixel
    cdef real* word
    cdef vector best, at
    for j in range(p.ow):
        bit = first_bit(j, LOG2_WINDOWS)
        word = argmax + (j >> LOG2_WINDOWS) * c
        for q in range(blocks_of(c, size)):
            k = least(q * size, c - size)
            pixel = x + 2 * i * line + 2 * j * c + k
            vfill(best, -INFINITY)
            vfill_bits(at, 0)
            for b in range(4):
                keep_larger[real, vector](pixel + (b >> 1) * line + (b & 1) * c, shifted(b, bit),
                                          argmax != NULL, &best, &at)
            vstore(y + j * c + k, best)
            if argmax != NULL:
                store_argmax[real, vector](word + k, at, bit)


cdef inline void max_2x2_backward(
    const real* dy, const real* argmax, const real* y, real* dx, dim a, const Pooling* p,
    vector* tag,
) noexcept nogil:
    """dx = dy of the window if its argmax is the pixel; with y, if that is above 0."""
    cdef dim size = sizeof(vector) // sizeof(real), c = p.c, j, q, k, b, bit
    cdef vector g, at, v
    if not clear_rest(dx, a, p):
        return
    dy += a // 2 * p.ow * c
    argmax += a // 2 * p.words * c
    y = NULL if y == NULL else y + a // 2 * p.ow * c
    for j in range(p.ow):
        bit = first_bit(j, LOG2_WINDOWS)
        for q in range(blocks_of(c, size)):
            k = least(q * size, c - size)
            load_drelu[real, vector](dy + j * c + k, NULL if y == NULL else y + j * c + k, &g)
            load_argmax[real, vector](argmax + (j >> LOG2_WINDOWS) * c + k, bit, LOG2_WINDOWS, &at)
            for b in range(2):
                where_argmax[vector](at, shifted(2 * (a & 1) + b, bit), g, &v)
                vstore(dx + (2 * j + b) * c + k, v)


cdef inline void avg_2x2_forward(
    const real* x, real* y, dim i, const Pooling* p, vector* tag,
) noexcept nogil:
    """y = mean of each window."""
    cdef dim size = sizeof(vector) // sizeof(real), c = p.c, line = p.w * c, j, q, k
    cdef const real* pixel
    cdef vector total, lower, v, weight, zero
    vfill(weight, 1 if p.mean == MEAN_UNDIVIDED else 0.25)
    vfill(zero, 0)
    for j in range(p.ow):
        for q in range(blocks_of(c, size)):
            k = least(q * size, c - size)
            pixel = x + 2 * i * line + 2 * j * c + k
            vload(total, pixel)
            vload(v, pixel + c)
            vadd(total, total, v)
            vload(lower, pixel + line)
            vload(v, pixel + line + c)
            vadd(lower, lower, v)
            vadd(total, total, lower)
            vmultiply(total, total, weight)
            vadd(total, total, zero)            # -0 becomes 0
            vstore(y + j * c + k, total)


cdef inline void avg_2x2_backward(
    const real* dy, real* dx, dim a, const Pooling* p, vector* tag,
) noexcept nogil:
    """dx = weight dy, of the window that covers the pixel."""
    cdef dim size = sizeof(vector) // sizeof(real), c = p.c, j, q, k
    cdef vector g, weight
    if not clear_rest(dx, a, p):
        return
    dy += a // 2 * p.ow * c
    vfill(weight, 1 if p.mean == MEAN_UNDIVIDED else 0.25)
    for j in range(p.ow):
        for q in range(blocks_of(c, size)):
            k = least(q * size, c - size)
            vload(g, dy + j * c + k)
            vmultiply(g, g, weight)
            vstore(dx + 2 * j * c + k, g)
            vstore(dx + (2 * j + 1) * c + k, g)
