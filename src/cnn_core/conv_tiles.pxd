# cython: cdivision=True, language_level=3
"""How a window tiles the output of images, for `conv_indirect` and `conv_col2im`.

A tile of output pixels is a unit of work: rows of one image, or all rows of several images. The
pixels that its windows see are a strip of rows of the input. Where no window leaves the image, the
strip lies in the image itself; else it is copied with its border of zeros, and stays in the
second-level cache.

    n, h, w, c   images, height, width, channels          sh, sw   step from window to window
    oh, ow       output pixels, down and across           pitch    step from row to row of a strip
"""
from cpython.pyport cimport PY_SSIZE_T_MAX
from libc.string cimport memcpy, memset

from cnn_core.types cimport blocks_of, dim, least, real

cdef enum:
    TILE_PIXELS = 112           # output pixels of a tile, at least: 8 register tiles of 14 rows
    STRIP_NUMBERS = 1 << 15     # numbers in a strip: an eighth of a 1 MB second-level cache

cdef struct Tiling:
    dim h, w, c                 # of an image
    dim oh, ow                  # output pixels, down and across
    dim sh, sw                  # step from window to window, in pixels of the input
    dim top, left               # the first window begins at pixel (-top, -left)
    dim rows, images            # of output pixels, in a tile
    dim strip_h, strip_w        # input pixels under a tile, of one image
    bint inside                 # no window leaves the image: there is nothing to copy


cdef inline Tiling plan_tiles(
    dim n, dim h, dim w, dim c, dim oh, dim ow, dim sh, dim sw, dim top, dim left,
    dim height, dim width,      # of the window, in pixels
    dim wanted,                 # tiles, at least, if there are enough output pixels
) except *:
    """Return how to cut the output into tiles. That decides who computes, never the results."""
    cdef Tiling tiling = Tiling(
        h, w, c, oh, ow, sh, sw, top, left, 0, 1, 0, (ow - 1) * sw + width, False)
    cdef double line = <double> tiling.strip_w * c  # a double: it may be more than a dim holds
    tiling.inside = (top <= 0 and left <= 0 and (oh - 1) * sh - top + height <= h
                     and tiling.strip_w - left <= w)
    tiling.rows = least(oh, max(blocks_of(TILE_PIXELS, ow), <dim> (STRIP_NUMBERS / (line * sh))))
    if tiling.rows == oh:
        tiling.images = least(n, max(1, 4 * TILE_PIXELS // (oh * ow)))
    while tiling.images > 1 and blocks_of(n, tiling.images) < wanted:
        tiling.images = blocks_of(tiling.images, 2)
        if tiling.images == 2:
            tiling.images = 1
    while tiling.images == 1 and tiling.rows > 1 and n * blocks_of(oh, tiling.rows) < wanted:
        tiling.rows = blocks_of(tiling.rows, 2)
        if tiling.rows * ow < TILE_PIXELS:
            break
    tiling.strip_h = (tiling.rows - 1) * sh + height
    if (not tiling.inside
            and line * tiling.images * tiling.strip_h > min(2.0 ** 40, PY_SSIZE_T_MAX / 16)):
        raise MemoryError("no memory for a convolution whose window reaches that far")
    return tiling


cdef inline dim tiles_of(Tiling tiling, dim n) noexcept nogil:
    """Return how many tiles the output of n images has."""
    return blocks_of(n, tiling.images) * blocks_of(tiling.oh, tiling.rows)


cdef inline dim pixels_of(Tiling tiling) noexcept nogil:
    """Return how many output pixels a tile has, at most: the last may have fewer."""
    return tiling.images * tiling.rows * tiling.ow


cdef inline dim strip_size(Tiling tiling) noexcept nogil:
    """Return how many numbers `strip` needs as workspace."""
    return 0 if tiling.inside else tiling.images * tiling.strip_h * tiling.strip_w * tiling.c


cdef inline dim pitch(Tiling tiling) noexcept nogil:
    """Return the step from row to row of a strip."""
    return (tiling.w if tiling.inside else tiling.strip_w) * tiling.c


cdef inline void list_pixels(
    Tiling tiling, dim image_step, dim row_step, dim column_step, dim* table,
) noexcept nogil:
    """table = where each output pixel of a tile lies, image by image, row by row."""
    cdef dim image, i, j
    for image in range(tiling.images):
        for i in range(tiling.rows):
            for j in range(tiling.ow):
                table[0] = image * image_step + i * row_step + j * column_step
                table += 1


cdef inline void list_windows(Tiling tiling, dim* table) noexcept nogil:
    """table = where the window of each output pixel of a tile begins in its strip."""
    list_pixels(tiling, pitch(tiling) * (tiling.h if tiling.inside else tiling.strip_h),
                tiling.sh * pitch(tiling), tiling.sw * tiling.c, table)


cdef inline void list_taps(
    const dim* down, dim kh, const dim* across, dim kw,     # pixels from the window's first
    dim pitch, dim c, dim channels, dim* table,
) noexcept nogil:
    """table = where each number under a window lies, from its first pixel."""
    cdef dim a, b, i
    for a in range(kh):
        for b in range(kw):
            for i in range(channels):
                table[0] = down[a] * pitch + across[b] * c + i
                table += 1


cdef inline const real* strip(
    Tiling tiling, dim n, const real* x, dim tile,
    real* copy,                         # workspace: the strip, if it must be copied
    dim* first,                         # out  number of the tile's first output pixel, of all
    dim* pixels,                        # out  how many output pixels it has
) noexcept nogil:
    """Return the pixels under the windows of a tile, zeros around the image included."""
    cdef dim strips = blocks_of(tiling.oh, tiling.rows), image = tile // strips * tiling.images
    cdef dim row = tile % strips * tiling.rows, images = least(tiling.images, n - image)
    cdef dim top = row * tiling.sh - tiling.top, left = -tiling.left, i, y, before, after
    cdef dim line = tiling.strip_w * tiling.c
    cdef const real* source
    first[0] = (image * tiling.oh + row) * tiling.ow
    pixels[0] = images * least(tiling.rows, tiling.oh - row) * tiling.ow
    x += image * tiling.h * tiling.w * tiling.c
    if tiling.inside:
        return x + (top * tiling.w + left) * tiling.c
    before = least(max(0, -left), tiling.strip_w)
    after = least(max(0, left + tiling.strip_w - tiling.w), tiling.strip_w - before)
    for image in range(images):
        for i in range(tiling.strip_h):
            y = top + i
            if 0 <= y < tiling.h and before + after < tiling.strip_w:
                source = x + ((image * tiling.h + y) * tiling.w + left + before) * tiling.c
                memset(copy, 0, before * tiling.c * sizeof(real))
                memcpy(copy + before * tiling.c, source,
                       (line - (before + after) * tiling.c) * sizeof(real))
                memset(copy + line - after * tiling.c, 0, after * tiling.c * sizeof(real))
            else:
                memset(copy, 0, line * sizeof(real))
            copy += line
    return copy - images * tiling.strip_h * line


cdef inline double nanoseconds(dim pixels, dim k, dim co, int itemsize) noexcept nogil:
    """Return about how long one thread takes for the products of ``pixels`` windows."""
    return <double> pixels * k * co * itemsize / 150
