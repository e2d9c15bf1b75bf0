# cython: cdivision=True, language_level=3
"""How the windows of a pooling lie on an image: which pixels each covers, and which cover a pixel.

All functions here look along one axis: ``size`` pixels with padding of ``before`` in front of them,
``count`` windows of ``extent`` pixels, ``step`` from one window to the next. With step 0 the
windows share out the pixels: number i covers those from floor(i size / count) to
ceil((i + 1) size / count).
"""
from cnn_core.types cimport blocks_of, dim, least

cdef enum:                  # what the sum under a window is divided by
    MEAN_OF_PIXELS          # how many pixels of the image it counts
    MEAN_WITH_PADDING       # the same, with the padding as pixels of value 0
    MEAN_UNDIVIDED          # nothing: it stays a sum

cdef struct Pooling:
    dim n, h, w, c, oh, ow, kh, kw, sh, sw, top, left, bottom, right
    int mean                # what a sum is divided by
    dim log2_windows, words     # of argmax: 2^log2_windows windows in a word; words of a row
    bint tiled_2x2          # windows of 2 x 2 side by side, within the image


cdef inline dim first_pixel(dim window, dim step, dim before, dim size, dim count) noexcept nogil:
    """Return where a window begins; in the padding that is below 0."""
    return window * step - before if step > 0 else window * size // count


cdef inline dim past_pixel(
    dim window, dim extent, dim step, dim before, dim size, dim count,
) noexcept nogil:
    """Return the pixel after the last of a window; in the padding that is above ``size``."""
    return window * step - before + extent if step > 0 else blocks_of((window + 1) * size, count)


cdef inline dim first_window(
    dim pixel, dim extent, dim step, dim before, dim size, dim count,
) noexcept nogil:
    """Return the first window that covers a pixel, or a later one."""
    if step == 0:
        return pixel * count // size
    pixel += before
    return 0 if pixel < extent else (pixel - extent) // step + 1


cdef inline dim past_window(dim pixel, dim step, dim before, dim size, dim count) noexcept nogil:
    """Return the window after the last that covers a pixel."""
    if step == 0:
        return blocks_of((pixel + 1) * count, size)
    return least(count, (pixel + before) // step + 1)


cdef inline dim divisor(
    int mean, dim begin, dim end, dim size,     # a window covers the pixels from begin to end
    dim after,                                  # padding behind the image
) noexcept nogil:
    """Return the factor of one axis in the divisor of a mean."""
    if mean == MEAN_UNDIVIDED:
        return 1
    if mean == MEAN_WITH_PADDING:
        return least(end, size + after) - begin
    return max(0, least(end, size) - max(0, begin))


cdef inline bint tiled(const Pooling* p) noexcept nogil:
    """Return whether every pixel of a row is in exactly one window of a row of windows."""
    if p.sw == 0:
        return p.w % p.ow == 0
    return (p.sw == p.kw or p.ow == 1) and (p.ow - 1) * p.sw + p.kw - p.left >= p.w
