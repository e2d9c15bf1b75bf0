# cython: cdivision=True, language_level=3
"""How the windows of a pooling lie on an image: which pixels each covers, and which cover a pixel.

Most functions here look along one axis: ``size`` pixels with padding of ``before`` in front of
them, ``count`` windows, ``step`` from one window to the next. A window has ``taps`` entries, one
every ``dilation`` pixels, of which those in the padding are left out. With step 0 the windows share
out the pixels: number i covers those from floor(i size / count) to ceil((i + 1) size / count).
"""
from cpython.pyport cimport PY_SSIZE_T_MAX
from libc.stdint cimport int64_t

from cnn_core.types cimport blocks_of, dim, least

cdef enum:
    MAX_FORWARD
    MAX_BACKWARD
    AVG_FORWARD
    AVG_BACKWARD

cdef enum:                  # what the sum under a window is divided by
    MEAN_OF_PIXELS          # how many pixels of the image it counts
    MEAN_WITH_PADDING       # the same, with the padding as pixels of value 0
    MEAN_UNDIVIDED          # nothing: it stays a sum

cdef enum:
    MAX_TAPS = 16           # entries of a window along an axis, and its steps, for `pool_few`

cdef struct Planes:         # of `pool_few`
    dim count, length, span     # how many, pixels of one, numbers from one to the next
    dim at[MAX_TAPS]
    dim plane[MAX_TAPS]         # that an entry is in
    dim begin[MAX_TAPS]         # of a plane: its pixels from begin to end are in the image
    dim end[MAX_TAPS]

cdef struct Pooling:
    dim n, h, w, c, oh, ow, kh, kw, sh, sw, dh, dw, top, left, bottom, right
    int mean                # what a sum is divided by
    dim log2_windows, words     # of argmax: 2^log2_windows windows in a word; words of a row
    bint tiled_2x2          # windows of 2 x 2 side by side, within the image
    bint few                # channels, for which `pool_few` can do it
    Planes planes           # then


cdef inline dim first_pixel(dim window, dim step, dim before, dim size, dim count) noexcept nogil:
    """Return where a window begins; in the padding that is below 0."""
    return window * step - before if step > 0 else <dim> (<int64_t> window * size // count)


cdef inline dim past_share(dim i, dim size, dim count) noexcept nogil:
    """Return where share number i ends, of ``count`` equal shares of ``size``: rounded up."""
    return <dim> (((<int64_t> i + 1) * size + count - 1) // count)


cdef inline dim taps_of(
    dim window, dim begin, dim taps, dim step, dim size, dim count,
) noexcept nogil:
    """Return how many entries a window has that begins at ``begin``, those in the padding too."""
    return taps if step > 0 else past_share(window, size, count) - begin


cdef inline dim first_tap(dim begin, dim dilation) noexcept nogil:
    """Return the first entry at pixel 0 or after it, of a window that begins at pixel ``begin``."""
    return max(0, -begin) if dilation == 1 else blocks_of(max(0, -begin), dilation)


cdef inline dim past_tap(dim begin, dim taps, dim dilation, dim end) noexcept nogil:
    """Return the entry after the last before pixel ``end``; at most 0 if there is none."""
    return least(taps, end - begin if dilation == 1 else blocks_of(max(0, end - begin), dilation))


cdef inline dim first_window(
    dim pixel, dim taps, dim step, dim dilation, dim before, dim size, dim count,
) noexcept nogil:
    """Return the first window that reaches a pixel, or a later one."""
    cdef dim extent = dilation * (taps - 1) + 1
    if step == 0:
        return <dim> (<int64_t> pixel * count // size)
    pixel += before
    return 0 if pixel < extent else (pixel - extent) // step + 1


cdef inline dim past_window(dim pixel, dim step, dim before, dim size, dim count) noexcept nogil:
    """Return the window after the last that begins at a pixel or in front of it."""
    if step == 0:
        return past_share(pixel, count, size)
    return least(count, (pixel + before) // step + 1)


cdef inline dim divisor(
    int mean, dim begin, dim taps, dim dilation, dim size,
    dim after,                                  # padding behind the image
) noexcept nogil:
    """Return the factor of one axis in the divisor of a mean."""
    if mean == MEAN_UNDIVIDED:
        return 1
    if mean == MEAN_WITH_PADDING:
        return past_tap(begin, taps, dilation, size + after)
    return max(0, past_tap(begin, taps, dilation, size) - first_tap(begin, dilation))


cdef inline bint countable(
    dim count, dim step, dim taps, dim dilation, dim before, dim after,
) noexcept nogil:
    """Return whether no number of a pixel under the windows of an axis can overflow."""
    cdef double span = <double> count * step + <double> taps * dilation + before + after
    return span < PY_SSIZE_T_MAX / 4


cdef inline bint tiled(const Pooling* p) noexcept nogil:
    """Return whether every pixel of a row is in exactly one window of a row of windows."""
    if p.sw == 0:
        return p.w % p.ow == 0
    if max(p.dh, p.dw) > 1:
        return False
    return (p.sw == p.kw or p.ow == 1) and (p.ow - 1) * p.sw + p.kw - p.left >= p.w


cdef inline bint holds_argmax(const Pooling* p, const dim* shape) noexcept nogil:
    """Return whether an array of this shape holds the argmax of each window."""
    return shape[0] == p.n and shape[1] == p.oh and shape[2] == p.words and shape[3] == p.c
