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
from libc.string cimport memset

from cnn_core.conv_winograd_1d cimport gradient_1d, input_1d, output_1d, weight_1d
from cnn_core.conv_winograd_1d cimport weight_gradient_1d
from cnn_core.conv_winograd_runs cimport Runs, Tile, cut_sums, cut_tiles, nanoseconds, next_tile
from cnn_core.conv_winograd_runs cimport prefetch, row_length, shared_out, tile_length, tile_number
from cnn_core.conv_winograd_runs cimport tiles_of, tiles_of_block, tiles_of_pass
from cnn_core.gemm cimport ADD, KC, count_by, multiply, part_length
from cnn_core.memory cimport Buffer
from cnn_core.reduce cimport RUN_SUMS_TASK
from cnn_core.simd cimport MAX_LANES, lanes, vdrelu, vecf, vfill, vload, vload_first, vload_tail
from cnn_core.simd cimport vrelu, vstore, vstore_tail
from cnn_core.threads cimport threads_for
from cnn_core.transpose cimport transpose_matrix
from cnn_core.types cimport blocks_of, dim, least

cdef enum:
    MAX_TILES = 56              # tiles of a block, at most, in a forward pass
    MAX_GRADIENT_TILES = 112    # the same in a weight gradient


cdef inline float* packed_at(float* packed, dim k, dim n, dim p, dim j) noexcept nogil:
    """Return where entry (p, j) of a (k, n) matrix lies after `gemm.pack`; j begins a vector."""
    cdef dim depth = part_length(k, KC), k0 = p // depth * depth
    cdef dim panel = j // (2 * lanes(4)) * (2 * lanes(4))
    cdef dim width = 2 * lanes(4) if n - panel > lanes(4) else lanes(4)
    return (packed + k0 * padded(n) + panel * least(depth, k - k0) + (p - k0) * width + j - panel)


cdef void transform_weights(
    const float* weight, dim i, dim c, dim co,
    float* u,                                   # out  36 packed matrices (c, co), row i of each
) noexcept nogil:
    """U[:, i, :] = G g G^T for the filters' channel i; u has `winograd_length` floats."""
    cdef vecf g[9]
    cdef vecf e[3][6]
    cdef vecf o[6]
    cdef dim size = c * padded(co), j = 0, a, b, s
    while j < co:
        for s in range(9):
            vload_tail(g[s], weight + (s * c + i) * co + j, co - j)
        for b in range(3):
            weight_1d(g[b], g[3 + b], g[6 + b], o)
            for a in range(6):
                e[b][a] = o[a]
        for a in range(6):
            weight_1d(e[0][a], e[1][a], e[2][a], o)
            for b in range(6):
                vstore(packed_at(u + (a * 6 + b) * size, c, co, i, j), o[b])
        j += lanes(4)


cdef inline void transform_vector(
    bint inside, bint whole,                    # literals: no pixel is outside; no channel missing
    const float* x, dim h, dim w, dim c, dim y0, dim x0, dim k, float* v, dim step,
) noexcept nogil:
    """Do the work of `transform_tile` for the channels from k on."""
    cdef vecf d[6]
    cdef vecf e[6][6]
    cdef vecf o[6]
    cdef vecf zero
    cdef const float* pixel
    cdef dim i, j
    vfill(zero, 0)
    for j in range(6):
        for i in range(6):
            pixel = x + ((y0 + i) * w + x0 + j) * c + k
            if not inside and not (0 <= y0 + i < h and 0 <= x0 + j < w):
                d[i] = zero
            elif whole:
                vload(d[i], pixel)
            else:
                vload_first(d[i], pixel, c - k)
        input_1d(d[0], d[1], d[2], d[3], d[4], d[5], o)
        for i in range(6):
            e[i][j] = o[i]
    for i in range(6):
        input_1d(e[i][0], e[i][1], e[i][2], e[i][3], e[i][4], e[i][5], o)
        for j in range(6):
            vstore(v + (i * 6 + j) * step + k, o[j])


cdef inline void transform_pixels(
    bint inside, const float* x, dim h, dim w, dim c, dim y0, dim x0, float* v, dim step,
) noexcept nogil:
    """Do the work of `transform_tile`."""
    cdef dim k = 0
    while k + lanes(4) <= c:
        transform_vector(inside, True, x, h, w, c, y0, x0, k, v, step)
        k += lanes(4)
    if k < c:
        transform_vector(inside, False, x, h, w, c, y0, x0, k, v, step)


cdef void transform_tile(
    const float* x, dim h, dim w, dim c,        # one image
    dim y0, dim x0,                             # first pixel of the tile; may lie outside
    float* v, dim step,                         # out  36 rows of channels, step from s to s + 1
) noexcept nogil:
    """V[:, tile, :] = B^T d B."""
    if y0 >= 0 and x0 >= 0 and y0 + 6 <= h and x0 + 6 <= w:
        transform_pixels(True, x, h, w, c, y0, x0, v, step)
    else:
        transform_pixels(False, x, h, w, c, y0, x0, v, step)


cdef inline void transform_products(
    dim rows, dim columns,                      # literals, for a whole tile
    const float* m, dim step, const float* bias, const float* residual, const float* drelu,
    bint relu, float* y, dim ow, dim co,
) noexcept nogil:
    """Do the work of `transform_back`."""
    cdef vecf e[4][6]
    cdef vecf o[4]
    cdef vecf d[6]
    cdef vecf b, zero, other
    cdef dim k = 0, i, j
    vfill(zero, 0)
    while k < co:
        b = zero
        if bias != NULL:
            vload_tail(b, bias + k, co - k)
        for j in range(6):
            for i in range(6):
                vload(d[i], m + (i * 6 + j) * step + k)
            output_1d(d[0], d[1], d[2], d[3], d[4], d[5], o)
            for i in range(4):
                e[i][j] = o[i]
        for i in range(rows):
            output_1d(e[i][0], e[i][1], e[i][2], e[i][3], e[i][4], e[i][5], o)
            for j in range(columns):    # loop by loop: a row of pixels stays in registers
                o[j] = o[j] + b
            if residual != NULL:
                for j in range(columns):
                    vload_tail(other, residual + (i * ow + j) * co + k, co - k)
                    o[j] = o[j] + other
            if relu:
                for j in range(columns):
                    vrelu(o[j], zero)
            if drelu != NULL:
                for j in range(columns):
                    vload_tail(other, drelu + (i * ow + j) * co + k, co - k)
                    vdrelu(o[j], other, zero)
            for j in range(columns):
                other = o[j]            # vstore_tail takes an address
                vstore_tail(y + (i * ow + j) * co + k, other, co - k)
        k += lanes(4)


cdef void transform_back(
    const float* m, dim step,                   # 36 rows of channels
    const float* bias, const float* residual, const float* drelu,   # each may be NULL
    bint relu, float* y, dim ow, dim co,        # y, residual and drelu at the tile
    dim rows, dim columns,                      # of the tile inside the image
) noexcept nogil:
    """Y = A^T M A + bias + residual, 0 where negative (relu) or where drelu <= 0 or NaN."""
    if rows == 4 and columns == 4:
        transform_products(4, 4, m, step, bias, residual, drelu, relu, y, ow, co)
    else:
        transform_products(rows, columns, m, step, bias, residual, drelu, relu, y, ow, co)


cdef inline void transform_dpixels(
    dim rows, dim columns,                      # literals, for a whole tile
    const float* dy, dim ow, dim co, dim channels, float* m, dim step, double* dbias,
) noexcept nogil:
    """Do the work of `transform_gradient`."""
    cdef float sums[MAX_LANES]
    cdef vecf sum, zero
    cdef vecf d[4]
    cdef vecf e[6][4]
    cdef vecf o[6]
    cdef dim k = 0, i, j
    vfill(zero, 0)
    while k < channels:
        sum = zero
        for j in range(4):
            for i in range(4):
                if i < rows and j < columns:
                    vload_tail(d[i], dy + (i * ow + j) * co + k, channels - k)
                else:
                    d[i] = zero
            sum = sum + ((d[0] + d[1]) + (d[2] + d[3]))
            gradient_1d(d[0], d[1], d[2], d[3], o)
            for i in range(6):
                e[i][j] = o[i]
        for i in range(6):
            gradient_1d(e[i][0], e[i][1], e[i][2], e[i][3], o)
            for j in range(6):
                vstore(m + (i * 6 + j) * step + k, o[j])
        if dbias != NULL:
            vstore(sums, sum)
            for i in range(lanes(4)):
                dbias[k + i] += sums[i]
        k += lanes(4)


cdef void transform_gradient(
    const float* dy, dim ow, dim co, dim channels,      # at the tile; how many of the co
    dim rows, dim columns,                      # of the tile inside the image
    float* m, dim step,                         # out  36 rows of channels, step from s to s + 1
    double* dbias,                              # out  whole vectors of channels, added to, or NULL
) noexcept nogil:
    """dM[:, tile, :] = A dY A^T, and the sum of the tile."""
    if rows == 4 and columns == 4:
        transform_dpixels(4, 4, dy, ow, co, channels, m, step, dbias)
    else:
        transform_dpixels(rows, columns, dy, ow, co, channels, m, step, dbias)


cdef void transform_weight_gradient(
    const float* du, dim i, dim c, dim co,      # 36 matrices (c, co), rows of padded(co)
    float* dweight,                             # out  (3, 3, c, co), added to
) noexcept nogil:
    """dg[:, :, i, :] += G^T dU[:, i, :] G."""
    cdef vecf u[6]
    cdef vecf e[3][6]
    cdef vecf o[3]
    cdef vecf total
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
                vload_tail(total, at, co - k)
                total = total + o[b]
                vstore_tail(at, total, co - k)
        k += lanes(4)


cdef void forward_block(
    const float* x, dim h, dim w, dim c, const float* u,
    const float* bias, const float* residual, const float* drelu, bint relu,
    float* y, dim oh, dim ow, dim co, dim top, dim left,
    dim first, dim tiles, dim next,             # tiles; the next block ends before `next`
    const dim* row, const dim* step, const dim* out,    # tables for the products
    float* v, float* m,                         # workspace
) noexcept nogil:
    """Transform a block of tiles, multiply, transform back."""
    cdef dim t, s, at, ldv = row_length(c), ldm = row_length(co), per_image = tiles_of(oh, ow)
    cdef dim tilev = tile_length(c), tilem = tile_length(co)
    cdef double share = (next - first - tiles) / <double> ENTRIES, ahead        # tiles
    cdef double xtile = h * w * c / <double> per_image, ytile = oh * ow * co / <double> per_image
    cdef Tile tile = tile_number(first, oh, ow)
    for t in range(tiles):
        transform_tile(x + tile.image * h * w * c, h, w, c, tile.i - top, tile.j - left,
                       v + t * tilev, ldv)
        next_tile(&tile, oh, ow)
    for s in range(ENTRIES):
        multiply(tiles, padded(co), c, v + s * ldv, row, step, u + s * c * padded(co), 0,
                 m + s * ldm, out, <float*> NULL, <float*> NULL, 0)
        ahead = first + tiles + share * s
        prefetch(x, xtile, ahead, share)
        prefetch(y, ytile, ahead, share)
        prefetch(residual, ytile, ahead, share)
        prefetch(drelu, ytile, ahead, share)
    tile = tile_number(first, oh, ow)
    for t in range(tiles):
        at = ((tile.image * oh + tile.i) * ow + tile.j) * co
        transform_back(m + t * tilem, ldm, bias, NULL if residual == NULL else residual + at,
                       NULL if drelu == NULL else drelu + at, relu, y + at, ow, co,
                       least(4, oh - tile.i), least(4, ow - tile.j))
        next_tile(&tile, oh, ow)


cdef int winograd_forward(
    const float* x, dim n, dim h, dim w, dim c,
    const float* weight,                        # (3, 3, c, co)
    bint adjoint,                               # or (3, 3, co, c), to be flipped and transposed
    const float* transformed,                   # of transform_weights, or NULL
    const float* bias,                          # (co,), or NULL
    const float* residual, const float* drelu,  # like y, or NULL
    bint relu, float* y, dim oh, dim ow, dim co, dim top, dim left,
) except -1:
    """y = the convolution of x; threads share out blocks of tiles. Nothing may be empty."""
    cdef dim all_tiles = n * tiles_of(oh, ow)
    cdef int threads = threads_for(nanoseconds(all_tiles, c, co))
    cdef dim tiles = shared_out(all_tiles, tiles_of_pass(c, co, MAX_TILES), threads)
    cdef dim size = 0 if transformed != NULL else winograd_length(c, co), b, i
    cdef dim space = tiles * (tile_length(c) + tile_length(co))
    cdef Buffer tables = Buffer((2.0 * tiles + c) * sizeof(dim))
    cdef Buffer weights = Buffer(
        ((0.0 if transformed != NULL else floats_of(c, co)) + (9.0 * c * co if adjoint else 0)) * 4)
    cdef Buffer workspace = Buffer(<double> threads * space * 4)
    cdef dim* row = <dim*> tables.memory
    cdef dim* out = row + tiles
    cdef dim* step = out + tiles
    cdef float* u = <float*> weights.memory
    cdef const float* known = transformed if transformed != NULL else u
    cdef float* v
    count_by(tile_length(c), tiles, row)
    count_by(tile_length(co), tiles, out)
    count_by(1, c, step)
    with nogil, parallel(num_threads=threads):
        v = <float*> workspace.memory + threadid() * space
        if adjoint:
            for i in prange(9, schedule="static"):
                transpose_matrix(co, c, weight + i * c * co, c, u + size + (8 - i) * c * co, co)
        for i in prange(c if transformed == NULL else 0, schedule="static"):
            transform_weights(u + size if adjoint else weight, i, c, co, u)
        for b in prange(blocks_of(all_tiles, tiles), schedule="static"):
            forward_block(x, h, w, c, known, bias, residual, drelu, relu, y, oh, ow, co, top, left,
                          b * tiles, least(tiles, all_tiles - b * tiles),
                          least(all_tiles, (b + 2) * tiles), row, step, out,
                          v, v + tiles * tile_length(c))
    return 0


cdef void backward_weight_run(
    const float* x, dim h, dim w, dim c, const float* dy, dim oh, dim ow, dim co,
    dim top, dim left, dim first, dim last, dim block,      # tiles
    dim entry, dim end, dim channel, dim channels,          # the part of dU: entries, and of the co
    const dim* row, const dim* step, const dim* out,        # tables for the products
    float* du,                                              # out  36 matrices (c, padded(co))
    double* dbias,                                          # out  (padded(co),), or NULL
    float* v, float* m,                                     # workspace
) noexcept nogil:
    """dU_s = sum of V_s^T dM_s over a run of tiles, block by block, in order.

    A part of dU has the same bits as in the whole.
    """
    cdef dim ldv = row_length(c), ldm = row_length(co), start = first, tiles, t, s
    cdef dim tilev = tile_length(c), tilem = tile_length(co), per_image = tiles_of(oh, ow)
    cdef double xtile = h * w * c / <double> per_image, ytile = oh * ow * co / <double> per_image
    cdef double share                           # tiles
    cdef Tile tile = tile_number(first, oh, ow)
    while start < last:
        tiles = least(block, last - start)
        share = (least(last, start + tiles + block) - start - tiles) / <double> ENTRIES
        for t in range(tiles):
            transform_tile(x + tile.image * h * w * c, h, w, c, tile.i - top, tile.j - left,
                           v + t * tilev, ldv)
            transform_gradient(dy + ((tile.image * oh + tile.i) * ow + tile.j) * co + channel, ow,
                               co, channels, least(4, oh - tile.i), least(4, ow - tile.j),
                               m + t * tilem, ldm, NULL if dbias == NULL else dbias + channel)
            next_tile(&tile, oh, ow)
        for s in range(entry, end):
            multiply(c, padded(channels), tiles, v + s * ldv, row, step,
                     m + s * ldm, tilem,
                     du + s * c * padded(co) + channel, out, <float*> NULL, <float*> NULL,
                     ADD if start > first else 0)
            prefetch(x, xtile, start + tiles + share * s, share)
            prefetch(dy, ytile, start + tiles + share * s, share)
        start += tiles


cdef void add_runs(float* du, dim runs, dim step, dim count) noexcept nogil:
    """du[0] = du[0] + du[1] + du[2] + ..., in order; ``step`` from run to run."""
    cdef dim r, e
    for r in range(1, runs):
        for e in range(count):
            du[e] = du[e] + du[r * step + e]


cdef void add_shared(
    float* du, Runs runs, dim tiles, dim shared, dim step, dim count,   # shared  sums of each run
) noexcept nogil:
    """du[0] = the sum of all runs; each is that of its short runs first, if they are apart."""
    cdef dim r
    for r in range(runs.count if shared > 1 else 0):
        add_runs(du + r * shared * step,
                 blocks_of(least(runs.length, tiles - r * runs.length), runs.short), step, count)
    add_runs(du, runs.count, shared * step, count)


cdef void add_short_runs(
    const float* x, dim h, dim w, dim c, const float* dy, dim oh, dim ow, dim co,
    dim top, dim left, dim first, dim last, dim short, dim block,
    const dim* row, const dim* step, const dim* out,
    float* du, float* apart,                                # apart  like du: workspace
    double* dbias,                                          # out  one for each short run, or NULL
    float* v, float* m,
) noexcept nogil:
    """dU of a run, one short run after the other: each sum is added while it is in the cache."""
    cdef dim start = first, e, size = ENTRIES * c * padded(co)
    while start < last:
        backward_weight_run(x, h, w, c, dy, oh, ow, co, top, left, start,
                            least(start + short, last), block, 0, ENTRIES, 0, co, row, step, out,
                            du if start == first else apart, dbias, v, m)
        for e in range(size if start > first else 0):
            du[e] = du[e] + apart[e]
        if dbias != NULL:
            dbias += padded(co)
        start += short


cdef int winograd_backward_weight(
    const float* x, dim n, dim h, dim w, dim c, const float* dy, dim oh, dim ow, dim co,
    float* dweight,                             # out  (3, 3, c, co), added to
    float* dbias,                               # out  (co,), added to, or NULL
    dim top, dim left,
) except -1:
    """Add the gradient of the weights and of the bias. Nothing may be empty.

    Tiles are cut into runs, whose number follows from the shapes; each has a partial sum of dU,
    and those are added in order. Where a sum is small, a run is the sum of short runs likewise.
    Where there are more threads than runs, several share one: its short runs, or parts of its dU.
    """
    cdef dim all_tiles = n * tiles_of(oh, ow)
    cdef dim block = least(all_tiles, tiles_of_block(c, co, MAX_GRADIENT_TILES))
    cdef dim size = ENTRIES * c * padded(co)
    cdef Runs runs = cut_tiles(all_tiles, block, floats_of(c, co))
    cdef dim shared = 1, length = runs.length, partial = runs.count, spare = 0
    cdef dim entries, panels, parts, width, first, t, r, i, j, e
    cdef dim space = block * (tile_length(c) + tile_length(co))
    cdef int threads = threads_for(nanoseconds(all_tiles, c, co))
    cdef Buffer tables = Buffer((2.0 * c + block) * sizeof(dim))
    cdef Buffer sums, columns
    cdef Buffer workspace = Buffer(<double> threads * space * 4)
    cdef dim* row = <dim*> tables.memory
    cdef dim* out = row + c
    cdef dim* step = out + c
    cdef float* du
    cdef double* db
    cdef float* v
    if threads > runs.count:
        shared, length = runs.each, runs.short
        partial *= shared
    elif runs.each > 1:
        spare = threads
    cut_sums(c, co, partial, threads, &entries, &panels)
    width = panels * 2 * lanes(4)
    parts = blocks_of(co, width)
    sums = Buffer((partial + spare) * floats_of(c, co) * 4)
    columns = Buffer(<double> runs.count * runs.each * padded(co) * sizeof(double))
    du, db = <float*> sums.memory, <double*> columns.memory
    count_by(1, c, row)
    count_by(padded(co), c, out)
    count_by(tile_length(c), block, step)
    memset(db, 0, runs.count * runs.each * padded(co) * sizeof(double))
    with nogil, parallel(num_threads=threads):
        v = <float*> workspace.memory + threadid() * space
        for r in prange(runs.count if spare > 0 else 0, schedule="static"):
            add_short_runs(x, h, w, c, dy, oh, ow, co, top, left, r * runs.length,
                           least((r + 1) * runs.length, all_tiles), runs.short, block, row, step,
                           out, du + r * size, du + (runs.count + threadid()) * size,
                           NULL if dbias == NULL else db + r * runs.each * padded(co), v,
                           v + block * tile_length(c))
        for t in prange(0 if spare > 0 else partial * entries * parts, schedule="static"):
            r = t // (entries * parts)
            i = t // parts % entries * (ENTRIES // entries)
            j = t % parts * width
            first = r // shared * runs.length + r % shared * runs.short
            backward_weight_run(x, h, w, c, dy, oh, ow, co, top, left, first,
                                least(first + length, least(
                                    (r // shared + 1) * runs.length, all_tiles)),
                                block, i, i + ENTRIES // entries, j, least(width, co - j), row,
                                step, out, du + r * size,
                                NULL if dbias == NULL or i > 0 else db + r * padded(co),
                                v, v + block * tile_length(c))
        for e in prange(blocks_of(size, RUN_SUMS_TASK), schedule="static"):
            add_shared(du + e * RUN_SUMS_TASK, runs, all_tiles, shared, size,
                       least(RUN_SUMS_TASK, size - e * RUN_SUMS_TASK))
        for i in prange(c, schedule="static"):
            transform_weight_gradient(du, i, c, co, dweight)
    if dbias != NULL:
        for r in range(1, runs.count * runs.each):
            for i in range(co):
                db[i] += db[r * padded(co) + i]
        for i in range(co):
            dbias[i] += <float> db[i]
    return 0
