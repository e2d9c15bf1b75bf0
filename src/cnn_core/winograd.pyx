"""Winograd convolution F(4x4, 3x3): 3x3 windows at stride 1 with a quarter of the products.

Lavin and Gray ("Fast algorithms for convolutional neural networks", 2015, arXiv:1509.09308). An
output tile of 4x4 pixels depends on an input tile of 6x6, and is

    Y = A^T [ sum over channels of (G g G^T) * (B^T d B) ] A        (* entry by entry)

so each of the 36 entries of the transformed tiles is a small matrix product over the channels:
M_s[tiles, co] = V_s[tiles, ci] U_s[ci, co], s = 0 ... 35. A block of tiles is transformed,
multiplied and transformed back while it lies in the second-level cache; nothing larger exists. The
transforms run over a vector of channels at once. The gradient of the weights is the same three
steps read backwards: dU_s = V_s^T (A dY A^T)_s summed over the tiles, then dg = G^T dU G.

float32 only: rounding errors are about ten times those of the direct sum, up to 1e-5 of the
largest value.

    n, h, w, c   images, height, width, channels      oh, ow, co   the same of the output
    tile         number through all images, rows of tiles, columns of tiles
"""
from cython.parallel cimport parallel, prange, threadid

from cnn_core.gemm cimport chain_length, multiply, packed_size
from cnn_core.simd cimport VBYTES, line_free, line_malloc, vecf, vfill, vload, vstore
from cnn_core.threads cimport threads_for
from cnn_core.types cimport blocks_of, dim, least

cdef enum:
    S = 36                      # entries of a transformed tile
    CACHE = 1 << 17             # floats of V and M of a block: half of a 1 MB second-level cache
    RUNS = 8                    # runs of tiles with a partial sum of their own
    PARTIAL = 1 << 23           # most floats of all partial sums, where two of them fit


cdef inline dim lanes() noexcept nogil:
    return VBYTES // 4


cdef inline dim padded(dim channels) noexcept nogil:
    """Return the channels as whole vectors."""
    return blocks_of(channels, lanes()) * lanes()


cdef inline dim row_length(dim channels) noexcept nogil:
    """Return the step between rows of V or M: whole vectors, and no power of two (see gemm)."""
    return padded(channels) + (lanes() if channels >= 128 else 0)


cdef dim tiles_of_block(dim c, dim co) noexcept nogil:
    """Return how many tiles a block has: whole register tiles of 14, at most one chain."""
    cdef dim fit = CACHE // (S * (row_length(c) + row_length(co))) // 14 * 14
    return 28 if fit < 28 else least(fit, 112)


cdef inline float* packed_at(float* packed, dim k, dim n, dim p, dim j) noexcept nogil:
    """Return where entry (p, j) of a (k, n) matrix lies after `gemm.pack`; j begins a vector."""
    cdef dim chain = chain_length(k), k0 = p // chain * chain
    cdef dim panel = j // (2 * lanes()) * (2 * lanes())
    cdef dim width = 2 * lanes() if n - panel > lanes() else lanes()
    return (packed + k0 * padded(n) + panel * least(chain, k - k0) + (p - k0) * width + j - panel)


cdef inline void load(vecf* v, const float* p, dim count) noexcept nogil:
    """v = the first channels at p, zeros from ``count`` on."""
    cdef float edge[16]
    cdef dim k
    if count >= lanes():
        vload(v[0], p)
    else:
        for k in range(16):
            edge[k] = p[k] if k < count else 0
        vload(v[0], edge)


cdef inline void store(float* p, vecf v, dim count) noexcept nogil:
    """The first ``count`` channels at p = v."""
    cdef float edge[16]
    cdef dim k
    if count >= lanes():
        vstore(p, v)
    else:
        vstore(edge, v)
        for k in range(count):
            p[k] = edge[k]


cdef inline void input_1d(
    vecf d0, vecf d1, vecf d2, vecf d3, vecf d4, vecf d5, vecf* o,
) noexcept nogil:
    """o = B^T d."""
    cdef vecf a = d4 - 4 * d2, b = d3 - 4 * d1, e = d4 - d2, f = 2 * (d3 - d1)
    o[0] = 4 * d0 - 5 * d2 + d4
    o[1] = a + b
    o[2] = a - b
    o[3] = e + f
    o[4] = e - f
    o[5] = 4 * d1 - 5 * d3 + d5


cdef inline void output_1d(
    vecf m0, vecf m1, vecf m2, vecf m3, vecf m4, vecf m5, vecf* o,
) noexcept nogil:
    """o = A^T m."""
    cdef vecf s = m1 + m2, d = m1 - m2, t = m3 + m4, e = m3 - m4
    o[0] = m0 + s + t
    o[1] = d + 2 * e
    o[2] = s + 4 * t
    o[3] = d + 8 * e + m5


cdef inline void gradient_1d(vecf y0, vecf y1, vecf y2, vecf y3, vecf* o) noexcept nogil:
    """o = A y."""
    cdef vecf even = y0 + y2, odd = y1 + y3, e = y0 + 4 * y2, f = 2 * y1 + 8 * y3
    o[0] = y0
    o[1] = even + odd
    o[2] = even - odd
    o[3] = e + f
    o[4] = e - f
    o[5] = y3


cdef inline void weight_1d(vecf g0, vecf g1, vecf g2, vecf* o) noexcept nogil:
    """o = G g."""
    cdef vecf a = (g0 + g2) * <float> (-1. / 6), b = g1 * <float> (1. / 6)
    cdef vecf e = g0 * <float> (1. / 24) + g2 * <float> (1. / 6), f = g1 * <float> (1. / 12)
    o[0] = g0 * <float> 0.25
    o[1] = a - b
    o[2] = a + b
    o[3] = e + f
    o[4] = e - f
    o[5] = g2


cdef inline void weight_gradient_1d(
    vecf u0, vecf u1, vecf u2, vecf u3, vecf u4, vecf u5, vecf* o,
) noexcept nogil:
    """o = G^T u."""
    cdef vecf s = (u1 + u2) * <float> (1. / 6), t = u3 + u4
    o[0] = u0 * <float> 0.25 - s + t * <float> (1. / 24)
    o[1] = (u2 - u1) * <float> (1. / 6) + (u3 - u4) * <float> (1. / 12)
    o[2] = t * <float> (1. / 6) - s + u5


cdef void transform_weights(
    const float* weight, dim i, dim c, dim co,
    float* u,                                   # out  36 packed matrices (c, co), row i of each
) noexcept nogil:
    """U[:, i, :] = G g G^T for the filters' channel i."""
    cdef vecf g[9]
    cdef vecf e[3][6]
    cdef vecf o[6]
    cdef dim size = packed_size(c, co, 4), j = 0, a, b, s
    while j < co:
        for s in range(9):
            load(&g[s], weight + (s * c + i) * co + j, co - j)
        for b in range(3):
            weight_1d(g[b], g[3 + b], g[6 + b], o)
            for a in range(6):
                e[b][a] = o[a]
        for a in range(6):
            weight_1d(e[0][a], e[1][a], e[2][a], o)
            for b in range(6):
                vstore(packed_at(u + (a * 6 + b) * size, c, co, i, j), o[b])
        j += lanes()


cdef void transform_tile(
    const float* x, dim h, dim w, dim c,        # one image
    dim y0, dim x0,                             # first pixel of the tile; may lie outside
    float* v, dim step,                         # out  36 rows of channels, step from s to s + 1
) noexcept nogil:
    """V[:, tile, :] = B^T d B."""
    cdef vecf d[6]
    cdef vecf e[6][6]
    cdef vecf o[6]
    cdef vecf zero
    cdef const float* pixel
    cdef bint inside = y0 >= 0 and x0 >= 0 and y0 + 6 <= h and x0 + 6 <= w
    cdef dim k = 0, i, j
    vfill(zero, 0)
    while k < c:
        pixel = x + (y0 * w + x0) * c + k
        for j in range(6):
            for i in range(6):
                if inside or (0 <= y0 + i < h and 0 <= x0 + j < w):
                    load(&d[i], pixel + (i * w + j) * c, c - k)
                else:
                    d[i] = zero
            input_1d(d[0], d[1], d[2], d[3], d[4], d[5], o)
            for i in range(6):
                e[i][j] = o[i]
        for i in range(6):
            input_1d(e[i][0], e[i][1], e[i][2], e[i][3], e[i][4], e[i][5], o)
            for j in range(6):
                vstore(v + (i * 6 + j) * step + k, o[j])
        k += lanes()


cdef void transform_back(
    const float* m, dim step,                   # 36 rows of channels
    const float* bias, float* y, dim ow, dim co,    # bias may be NULL; y at the tile
    dim rows, dim columns,                      # of the tile inside the image
) noexcept nogil:
    """Y = A^T M A + bias."""
    cdef vecf e[4][6]
    cdef vecf o[4]
    cdef vecf d[6]
    cdef vecf b
    cdef dim k = 0, i, j
    while k < co:
        vfill(b, 0)
        if bias != NULL:
            load(&b, bias + k, co - k)
        for j in range(6):
            for i in range(6):
                vload(d[i], m + (i * 6 + j) * step + k)
            output_1d(d[0], d[1], d[2], d[3], d[4], d[5], o)
            for i in range(4):
                e[i][j] = o[i]
        for i in range(rows):
            output_1d(e[i][0], e[i][1], e[i][2], e[i][3], e[i][4], e[i][5], o)
            for j in range(columns):
                store(y + (i * ow + j) * co + k, o[j] + b, co - k)
        k += lanes()


cdef void transform_gradient(
    const float* dy, dim ow, dim co,            # at the tile
    dim rows, dim columns,                      # of the tile inside the image
    float* packed, dim tiles, dim t,            # out  row t of 36 packed matrices (tiles, co)
) noexcept nogil:
    """dM[:, tile, :] = A dY A^T."""
    cdef vecf d[4]
    cdef vecf e[6][4]
    cdef vecf o[6]
    cdef vecf zero
    cdef dim size = packed_size(tiles, co, 4), k = 0, i, j
    vfill(zero, 0)
    while k < co:
        for j in range(4):
            for i in range(4):
                if i < rows and j < columns:
                    load(&d[i], dy + (i * ow + j) * co + k, co - k)
                else:
                    d[i] = zero
            gradient_1d(d[0], d[1], d[2], d[3], o)
            for i in range(6):
                e[i][j] = o[i]
        for i in range(6):
            gradient_1d(e[i][0], e[i][1], e[i][2], e[i][3], o)
            for j in range(6):
                vstore(packed_at(packed + (i * 6 + j) * size, tiles, co, t, k), o[j])
        k += lanes()


cdef void transform_weight_gradient(
    const float* du, dim i, dim c, dim co,      # 36 matrices (c, co), rows of padded(co)
    float* dweight,                             # out  (3, 3, c, co), added to
) noexcept nogil:
    """dg[:, :, i, :] += G^T dU[:, i, :] G."""
    cdef vecf u[6]
    cdef vecf e[3][6]
    cdef vecf o[3]
    cdef vecf old
    cdef float* at
    cdef dim step = c * padded(co), k = 0, a, b
    while k < co:
        for b in range(6):
            for a in range(6):
                vload(u[a], du + (a * 6 + b) * step + i * padded(co) + k)
            weight_gradient_1d(u[0], u[1], u[2], u[3], u[4], u[5], o)
            for a in range(3):
                e[a][b] = o[a]
        for a in range(3):
            weight_gradient_1d(e[a][0], e[a][1], e[a][2], e[a][3], e[a][4], e[a][5], o)
            for b in range(3):
                at = dweight + ((a * 3 + b) * c + i) * co + k
                load(&old, at, co - k)
                store(at, old + o[b], co - k)
        k += lanes()


cdef void forward_block(
    const float* x, dim h, dim w, dim c, const float* u, const float* bias,
    float* y, dim oh, dim ow, dim co, dim top, dim left,
    dim first, dim tiles,                       # of all tiles
    float* v, float* m,                         # workspace
) noexcept nogil:
    """Transform some tiles, multiply, transform back."""
    cdef dim down = blocks_of(oh, 4), across = blocks_of(ow, 4), t, s, image, i, j
    cdef dim ldv = row_length(c), ldm = row_length(co)
    for t in range(tiles):
        image = (first + t) // (down * across)
        i = (first + t) // across % down * 4
        j = (first + t) % across * 4
        transform_tile(x + image * h * w * c, h, w, c, i - top, j - left, v + t * ldv, tiles * ldv)
    for s in range(S):
        multiply(tiles, padded(co), c, v + s * tiles * ldv, ldv, 1, u + s * packed_size(c, co, 4),
                 m + s * tiles * ldm, ldm, <float*> NULL, False)
    for t in range(tiles):
        image = (first + t) // (down * across)
        i = (first + t) // across % down * 4
        j = (first + t) % across * 4
        transform_back(m + t * ldm, tiles * ldm, bias, y + ((image * oh + i) * ow + j) * co,
                       ow, co, least(4, oh - i), least(4, ow - j))


cdef double nanoseconds(dim tiles, dim c, dim co) noexcept nogil:
    return <double> tiles * (S * c * co / 40.0 + 15.0 * (c + co))


cdef int winograd_forward(
    const float* x, dim n, dim h, dim w, dim c,
    const float* weight, const float* bias,     # (3, 3, c, co), (co,) or NULL
    float* y, dim oh, dim ow, dim co, dim top, dim left,
) except -1 nogil:
    """y = the convolution of x; threads share out blocks of tiles. Nothing may be empty."""
    cdef dim all_tiles = n * blocks_of(oh, 4) * blocks_of(ow, 4)
    cdef dim tiles = least(all_tiles, tiles_of_block(c, co)), size = S * packed_size(c, co, 4)
    cdef dim space = S * tiles * (row_length(c) + row_length(co)), b, i
    cdef int threads = threads_for(nanoseconds(all_tiles, c, co))
    cdef float* u = <float*> line_malloc((size + threads * space) * 4)
    cdef float* v
    if u == NULL:
        raise MemoryError("no memory for the workspace of a convolution")
    with parallel(num_threads=threads):
        v = u + size + threadid() * space
        for i in prange(c, schedule="static"):
            transform_weights(weight, i, c, co, u)
        for b in prange(blocks_of(all_tiles, tiles), schedule="static"):
            forward_block(x, h, w, c, u, bias, y, oh, ow, co, top, left, b * tiles,
                          least(tiles, all_tiles - b * tiles), v, v + S * tiles * row_length(c))
    line_free(u)
    return 0


cdef void backward_weight_run(
    const float* x, dim h, dim w, dim c, const float* dy, dim oh, dim ow, dim co,
    dim top, dim left, dim first, dim last, dim block,      # tiles
    float* du,                                              # out  36 matrices (c, padded(co))
    float* v, float* packed,                                # workspace
) noexcept nogil:
    """dU_s = sum of V_s^T dM_s over a run of tiles, block by block, in order."""
    cdef dim down = blocks_of(oh, 4), across = blocks_of(ow, 4), start = first, t, s, image, i, j
    cdef dim ldv = row_length(c), tiles
    while start < last:
        tiles = least(block, last - start)
        for t in range(tiles):
            image = (start + t) // (down * across)
            i = (start + t) // across % down * 4
            j = (start + t) % across * 4
            transform_tile(x + image * h * w * c, h, w, c, i - top, j - left,
                           v + t * ldv, tiles * ldv)
            transform_gradient(dy + ((image * oh + i) * ow + j) * co, ow, co,
                               least(4, oh - i), least(4, ow - j), packed, tiles, t)
        for s in range(S):
            multiply(c, padded(co), tiles, v + s * tiles * ldv, 1, ldv,
                     packed + s * packed_size(tiles, co, 4),
                     du + s * c * padded(co), padded(co), <float*> NULL, start > first)
        start += tiles


cdef int winograd_backward_weight(
    const float* x, dim n, dim h, dim w, dim c, const float* dy, dim oh, dim ow, dim co,
    float* dweight,                             # out  (3, 3, c, co), added to
    dim top, dim left,
) except -1 nogil:
    """Add the gradient of the weights. Nothing may be empty.

    Tiles are cut into runs, whose number follows from the shapes; each has a partial sum of dU,
    and those are added in order.
    """
    cdef dim all_tiles = n * blocks_of(oh, 4) * blocks_of(ow, 4)
    cdef dim block = least(all_tiles, tiles_of_block(c, co)), size = S * c * padded(co)
    cdef dim blocks = blocks_of(all_tiles, block)
    cdef dim run = blocks_of(blocks, max(2, least(RUNS, PARTIAL // size))) * block
    cdef dim runs = blocks_of(all_tiles, run), r, q, i, e
    cdef dim space = S * block * row_length(c) + S * packed_size(block, co, 4)
    cdef int threads = threads_for(nanoseconds(all_tiles, c, co))
    cdef float* du = <float*> line_malloc((runs * size + threads * space) * 4)
    cdef float* v
    cdef float total
    if du == NULL:
        raise MemoryError("no memory for the workspace of a convolution")
    with parallel(num_threads=threads):
        v = du + runs * size + threadid() * space
        for r in prange(runs, schedule="static"):
            backward_weight_run(x, h, w, c, dy, oh, ow, co, top, left, r * run,
                                least((r + 1) * run, all_tiles), block, du + r * size,
                                v, v + S * block * row_length(c))
        for e in prange(size, schedule="static"):
            total = du[e]
            for q in range(1, runs):
                total = total + du[q * size + e]
            du[e] = total
        for i in prange(c, schedule="static"):
            transform_weight_gradient(du, i, c, co, dweight)
    line_free(du)
    return 0
