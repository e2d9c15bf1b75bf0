# cython: cdivision=True, language_level=3
"""How Winograd's algorithm cuts images into tiles, blocks and runs, for `conv_winograd`.

    tile    4x4 output pixels; numbered through all images, rows of tiles, columns of tiles
    block   tiles that one thread transforms and multiplies at a time, in the second-level cache
    run     blocks whose weight gradients are added up one after the other: a partial sum
"""
from cnn_core.conv_winograd cimport ENTRIES, padded
from cnn_core.simd cimport lanes, vprefetch_l2
from cnn_core.types cimport blocks_of, dim, least

cdef extern from "simd.h":
    enum:
        MR "GEMM_MR"            # rows of a register tile

cdef enum:
    BLOCK_FLOATS = 1 << 16      # floats of V and M of a block: a quarter of a 1 MB cache
    MAX_TILE_RUNS = 8           # runs of tiles, each with a partial sum of its own, at most
    SHORT_RUNS = 4              # that a run is cut into, at most, where a partial sum has at most
    SHORT_FLOATS = 1 << 14      # this many floats, and stays in the first- or second-level cache
    SHORT_BLOCKS = 4            # blocks of a short run, at least
    PARTIAL_FLOATS = 1 << 23    # floats of all partial sums, at most, where two of them fit
    LINE_FLOATS = 16            # floats of a cache line of 64 bytes
    PASS_FLOATS = 20 << 10      # floats of V and M of a block of a forward pass with register tiles
    #                             of 6 rows, about: 80 KB
    LARGE_U = 1 << 20           # floats of U, from which each block should read it for many tiles
    FEW_TILES = 56              # tiles of a block, at most, but with many channels
    TILE_STEP = 28              # blocks have multiples of this: two register tiles of 14 rows


cdef inline dim row_length(dim channels) noexcept nogil:
    """Return the step between rows of V or M: whole vectors, and no power of two (see gemm)."""
    return padded(channels) + (lanes(4) if channels >= 128 else 0)


cdef inline dim tile_length(dim channels) noexcept nogil:
    """Return the step from tile to tile of V or M, an odd number of cache lines."""
    return (ENTRIES * row_length(channels) // LINE_FLOATS | 1) * LINE_FLOATS


cdef inline dim tiles_of_block(dim c, dim co, dim limit) noexcept nogil:
    """Return how many tiles a block has: whole register tiles, at most ``limit``.

    V and M should fit the second-level cache; but each block reads U or dU once, and with many
    channels this takes long: then a block has more tiles.
    """
    cdef dim fit = BLOCK_FLOATS // (ENTRIES * (row_length(c) + row_length(co)))
    return max(TILE_STEP, least(FEW_TILES, fit // TILE_STEP * TILE_STEP),
               least(limit, c * co // (c + co) // TILE_STEP * TILE_STEP))


cdef inline dim tiles_of_pass(dim c, dim co, dim limit) noexcept nogil:
    """Return how many tiles a block of a forward pass has, at most ``limit``; no bit depends on it.

    Where a register tile has 6 rows, small blocks are faster: what the transforms write, the
    products read from the first-level cache, or from lines of the second level just written.
    """
    cdef dim fit = PASS_FLOATS // (ENTRIES * (row_length(c) + row_length(co)))
    if MR > 6 or ENTRIES * c * row_length(co) > LARGE_U:
        return tiles_of_block(c, co, limit)
    return least(limit, max(2 * MR, (fit + MR // 2) // MR * MR))


cdef inline dim shared_out(dim tiles, dim block, int threads) noexcept nogil:
    """Return the tiles of a block, about ``block``, that give all threads equal work.

    They are whole register tiles of 6 rows, or of 14, of which parts take little longer.
    """
    cdef dim rows = 2 if MR > 6 else MR, rounds
    block = (block + rows // 2) // rows * rows
    rounds = blocks_of(blocks_of(tiles, block), threads)
    return least(tiles, blocks_of(blocks_of(tiles, rounds * threads), rows) * rows)


cdef struct Tile:
    dim image, i, j             # and the first pixel of the output


cdef inline Tile tile_number(dim number, dim oh, dim ow) noexcept nogil:
    cdef dim down = blocks_of(oh, 4), across = blocks_of(ow, 4)
    return Tile(number // (down * across), number // across % down * 4, number % across * 4)


cdef inline dim tiles_of(dim oh, dim ow) noexcept nogil:
    """Return how many tiles an image has."""
    return blocks_of(oh, 4) * blocks_of(ow, 4)


cdef inline void next_tile(Tile* tile, dim oh, dim ow) noexcept nogil:
    tile.j += 4
    if tile.j >= ow:
        tile.j = 0
        tile.i += 4
        if tile.i >= oh:
            tile.i = 0
            tile.image += 1


cdef inline void prefetch(const float* x, double tile, double first, double share) noexcept nogil:
    """Prefetch a share of the tiles from ``first`` on, of so many numbers each; x may be NULL.

    While a block is multiplied the memory is idle: what the next block reads and writes can come
    in meanwhile. This treats the tiles as contiguous, which is almost right.
    """
    cdef dim at = <dim> (tile * first), end = at + <dim> (tile * share)
    if x != NULL:
        while at < end:
            vprefetch_l2(x + at)
            at += LINE_FLOATS


cdef inline double nanoseconds_of_part(dim c, dim co, dim entries) noexcept nogil:
    """Return about how long a tile takes one thread, of whose products it needs some."""
    return entries * c * co / 40.0 + 15.0 * (c + co)


cdef inline double nanoseconds(dim tiles, dim c, dim co) noexcept nogil:
    return tiles * nanoseconds_of_part(c, co, ENTRIES)


cdef struct Runs:               # of the tiles of a weight gradient: the shape alone decides
    dim count, length           # runs, and their tiles
    dim each, short             # short runs of a run, and their tiles


cdef inline Runs cut_tiles(dim tiles, dim block, double size) noexcept nogil:
    """Return how tiles are cut into runs of whole blocks; a partial sum has ``size`` floats."""
    cdef dim count = max(2, least(MAX_TILE_RUNS, <dim> (PARTIAL_FLOATS / size)))
    cdef dim blocks = blocks_of(blocks_of(tiles, block), count), short = blocks
    if size <= SHORT_FLOATS:
        short = least(blocks, max(SHORT_BLOCKS, blocks_of(blocks, SHORT_RUNS)))
    return Runs(blocks_of(tiles, blocks * block), blocks * block, blocks_of(blocks, short),
                short * block)


cdef inline void cut_sums(
    dim c, dim co, dim runs, int threads,
    dim* entries, dim* panels,          # out  parts of the 36 entries, and panels of co in a part
) noexcept nogil:
    """Return into what parts each run's dU is cut, so that all threads work equally long.

    The bits do not depend on it. The longest part decides: its products, and the transforms of all
    that it reads. (More runs instead would need more memory, and time to add them up.)
    """
    cdef dim all_panels = blocks_of(co, 2 * lanes(4)), i, j, parts
    cdef double time, best = 0
    entries[0], panels[0] = 1, all_panels
    if runs % threads == 0:
        return
    for j in range(all_panels, 0, -1):
        parts = blocks_of(all_panels, j)
        for i in range(1, ENTRIES + 1):
            if ENTRIES % i == 0 and i * parts <= threads:
                time = blocks_of(runs * i * parts, threads) * nanoseconds_of_part(
                    c, least(co, j * 2 * lanes(4)), ENTRIES // i)
                if best == 0 or time < best:
                    best, entries[0], panels[0] = time, i, j
