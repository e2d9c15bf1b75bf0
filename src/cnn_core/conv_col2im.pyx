"""The input gradient of a convolution of few channels: as columns, added up by `im2col.col2im`.

In `conv_indirect` the channels of a pixel would fill a small part of a vector. Here all numbers
under a window are contiguous:

    dcol[window, tap] = dy[window] w^T,      dx[pixel] = sum of the entries of dcol on it

It takes a few rows of windows at a time: their columns stay in the second-level cache. Threads
share out images.

    n, h, w, c   images, height, width, channels      kh, kw   window height, width
    oh, ow, co   the same of the output               k        taps times channels of a group
"""
from cython.parallel cimport parallel, prange, threadid

from cnn_core.conv_tiles cimport STRIP_NUMBERS, TILE_PIXELS, nanoseconds
from cnn_core.gemm cimport count_by, multiply, pack, packed_width
from cnn_core.im2col cimport Window, col2im_rows, col2im_space
from cnn_core.memory cimport Buffer
from cnn_core.threads cimport threads_for
from cnn_core.types cimport blocks_of, dim, least, real

cdef enum:
    CACHE_LINE = 64         # bytes


cdef void backward_input_image(
    const real* dy, dim image, dim oh, dim ow, dim co, const real* packed, dim size,
    real* dx, dim h, dim w, dim c, Window window, dim groups, const real* drelu,
    const dim* row, const dim* step, const dim* out,        # tables for the products
    dim rows, dim ld, real* dcol, void* space,      # rows of windows at a time; workspace for them
) noexcept nogil:
    """dx of one image: dcol = dy w^T, a few rows at a time, and back to the pixels."""
    cdef dim group_c = c // groups, group_co = co // groups
    cdef dim i = 0, last, g, e
    cdef real* pixels = dx + image * h * w * c
    cdef const real* x = NULL if drelu == NULL else drelu + image * h * w * c
    dy += image * oh * ow * co
    while i < oh:
        last = least(oh, i + rows)
        for g in range(groups):
            multiply((last - i) * ow, ld, group_co, dy + i * ow * co + g * group_co, row, step,
                     packed + g * size, 0, dcol, out, <real*> NULL, <real*> NULL, 0)
            col2im_rows(dcol, ld, i, last, oh, ow, window, pixels + g * group_c, h, w, c, group_c,
                        space)
        i = last
    if drelu != NULL:
        for e in range(h * w * c):
            pixels[e] = pixels[e] if x[e] > 0 else 0


cdef int col2im_backward_input(
    const real* dy, dim n, dim oh, dim ow, dim co, const real* weight,
    real* dx, dim h, dim w, dim c, Window window, dim groups,
    const real* drelu,                  # same layout as dx, or NULL; dx = 0 where drelu <= 0 or NaN
) except -1:
    """dx = the gradient of x. Nothing may be empty."""
    cdef dim k = window.kh * window.kw * c // groups, group_co = co // groups
    cdef dim ld = packed_width(k, sizeof(real)), size = group_co * ld, image, g
    cdef dim rows = least(oh, blocks_of(max(TILE_PIXELS, STRIP_NUMBERS // k), ow))
    cdef dim windows = rows * ow
    cdef dim dcol = blocks_of(windows * ld * sizeof(real), CACHE_LINE) * CACHE_LINE
    cdef dim space = dcol + col2im_space(ow, w, window.kw, c // groups, sizeof(real))
    cdef int threads = threads_for(nanoseconds(n * oh * ow, k, co, sizeof(real)))
    cdef Buffer tables = Buffer((2.0 * windows + group_co) * sizeof(dim))
    cdef Buffer panels = Buffer(<double> groups * size * sizeof(real))
    cdef Buffer workspace = Buffer(<double> threads * space)
    cdef char* mine
    cdef dim* row = <dim*> tables.memory
    cdef dim* out = row + windows
    cdef dim* step = out + windows
    cdef real* packed = <real*> panels.memory
    count_by(co, windows, row)
    count_by(ld, windows, out)
    count_by(1, group_co, step)
    with nogil:
        for g in range(groups):
            pack(group_co, k, weight + g * group_co, 1, co, packed + g * size)
    with nogil, parallel(num_threads=threads):
        mine = <char*> workspace.memory + threadid() * space
        for image in prange(n, schedule="static"):
            backward_input_image(dy, image, oh, ow, co, packed, size, dx, h, w, c, window, groups,
                                 drelu, row, step, out, rows, ld, <real*> mine, mine + dcol)
    return 0
