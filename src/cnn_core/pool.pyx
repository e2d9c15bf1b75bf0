"""Max and average pooling of channels-last images.

A row of the output needs some rows of the input; backward, a row of ``dx`` needs some rows of
windows. So rows are independent of each other: threads share them out.

All channels of a pixel are treated alike, in vectors as wide as fit into c. The last one overlaps
the one before it: it repeats some channels, and no code for a remainder is needed.

    n, h, w, c   images, height, width, channels      kh, kw   window height, width
    oh, ow       output height, width                 sh, sw   step from window to window
    top, left, bottom, right   padding, never read    dh, dw   step from entry to entry of a window

Padding is -inf to a maximum, nothing to a mean; loops skip the entries of a window that lie in it.

Windows of a mean may also *share out* the image, sh = sw = 0: of ``oh`` windows number i covers the
rows from floor(i h / oh) to ceil((i + 1) h / oh), so that the size of the output can be chosen.

The *argmax* of a window says which of its pixels is the largest; `argmax_pack` explains how those
of several windows share an element of an array.
"""
from cython.parallel cimport prange
from libc.math cimport INFINITY
from libc.string cimport memset

from cnn_core.argmax_pack cimport first_bit, has_argmax, keep_larger, load_argmax, load_drelu
from cnn_core.argmax_pack cimport log2_windows_of_word, no_pixel, shifted, store_argmax
from cnn_core.argmax_pack cimport where_argmax
from cnn_core.pool_2x2 cimport avg_2x2_backward, avg_2x2_forward, max_2x2_backward, max_2x2_forward
from cnn_core.pool_few cimport BAND, describe_planes, few_channels, few_row
from cnn_core.pool_windows cimport AVG_BACKWARD, AVG_FORWARD, MAX_BACKWARD, MAX_FORWARD
from cnn_core.pool_windows cimport MEAN_OF_PIXELS, MEAN_UNDIVIDED, MEAN_WITH_PADDING, Pooling
from cnn_core.pool_windows cimport countable, divisor, first_pixel, first_tap, first_window
from cnn_core.pool_windows cimport holds_argmax, past_tap, past_window, taps_of, tiled
from cnn_core.simd cimport MAX_LANES, VBYTES, oned, onef, shortd, shortf, vadd, vand_bits, vecd
from cnn_core.simd cimport vecf, vector, vfill, vfill_bits, vload, vmultiply, vstore
from cnn_core.threads cimport FloatMode, flush_denormals, threads_for
from cnn_core.types cimport blocks_of, dim, least, real, same_shape

cdef enum:
    CHAIN = 128             # pixels and rows of a mean that are added one after the other
    MAX_EXTENT = 1 << 30    # of window, step, dilation, padding

mean_of_pixels = MEAN_OF_PIXELS
mean_with_padding = MEAN_WITH_PADDING
mean_undivided = MEAN_UNDIVIDED


cdef inline void overlap_masks(real* masks, vector* tag) noexcept nogil:
    """Write a vector of no bits and one of all bits, for `drop_repeated`."""
    cdef vector v
    vfill_bits(v, 0)
    vstore(masks, v)
    vfill_bits(v, -1)
    vstore(masks + sizeof(vector) // sizeof(real), v)


cdef inline void drop_repeated(const real* masks, dim repeated, vector* g) noexcept nogil:
    """g = 0 in its first channels, those that the vector before it holds too."""
    cdef vector mask
    vload(mask, masks + sizeof(vector) // sizeof(real) - repeated)
    vand_bits(g[0], g[0], mask)


cdef inline void max_row_forward(
    const real* x, real* y, real* argmax,       # an image, row i of y and of argmax (or NULL)
    dim i, const Pooling* p, vector* tag,       # tag: NULL, only names the vector type
) noexcept nogil:
    """y = largest pixel of each window; of equals the first wins, of NaNs the last."""
    cdef dim size = sizeof(vector) // sizeof(real), c = p.c, w = p.w, kw = p.kw, sw = p.sw
    cdef dim dh = p.dh, dw = p.dw, across = dw * c, begin
    cdef dim ow = p.ow, log2_windows = p.log2_windows, y0 = i * p.sh - p.top, x0 = -p.left
    cdef dim a0 = first_tap(y0, dh), a1 = past_tap(y0, p.kh, dh, p.h)
    cdef dim b0, b1, a, b, j, q, k, bit, number
    cdef bint empty
    cdef const real* pixel
    cdef real* word
    cdef vector best, at
    for j in range(ow):
        b0, b1 = first_tap(x0, dw), past_tap(x0, kw, dw, w)
        begin = x0 + b0 * dw
        bit = first_bit(j, log2_windows)
        word = argmax + (j >> log2_windows) * c
        for q in range(blocks_of(c, size)):
            k = least(q * size, c - size)
            number = a0 * kw
            vfill(best, -INFINITY)
            empty = a0 >= a1 or b0 >= b1
            vfill_bits(at, no_pixel(bit, log2_windows) if empty else shifted(number + b0, bit))
            for a in range(a0, a1):
                pixel = x + ((y0 + a * dh) * w + begin) * c + k
                for b in range(b0, b1):
                    keep_larger[real, vector](pixel, shifted(number + b, bit), argmax != NULL,
                                              &best, &at)
                    pixel += across
                number += kw
            vstore(y + j * c + k, best)
            if argmax != NULL:
                store_argmax[real, vector](word + k, at, bit)
        x0 += sw


cdef inline void max_row_backward(
    const real* dy, const real* argmax, const real* y,      # of an image; y or NULL
    real* dx, dim a, const Pooling* p, vector* tag,         # row a of dx
) noexcept nogil:
    """dx = sum of dy over the windows whose argmax is the pixel; with y, where that is above 0."""
    cdef dim size = sizeof(vector) // sizeof(real), c = p.c, w = p.w, kw = p.kw, sw = p.sw
    cdef dim dh = p.dh, dw = p.dw, across = dw * c
    cdef dim ow = p.ow, left = p.left, log2_windows = p.log2_windows, words = p.words
    cdef dim i0 = first_window(a, p.kh, p.sh, dh, p.top, p.h, p.oh)
    cdef dim i1 = past_window(a, p.sh, p.top, p.h, p.oh)
    cdef dim i, j, q, k, b, b0, b1, x0, bit, number, line
    cdef bint once = i1 - i0 == 1 and tiled(p)
    cdef real masks[2 * MAX_LANES]
    cdef real* pixel
    cdef vector g, at, v, before
    overlap_masks[real, vector](masks, tag)
    if not once:
        memset(dx, 0, w * c * sizeof(real))
    for i in range(i0, i1):
        line = a - i * p.sh + p.top
        if dh > 1:
            if line % dh != 0:
                continue
            line //= dh
        number = line * kw
        for j in range(ow):
            x0 = j * sw - left
            b0, b1 = first_tap(x0, dw), past_tap(x0, kw, dw, w)
            x0 += b0 * dw
            bit = first_bit(j, log2_windows)
            for q in range(blocks_of(c, size)):
                k = least(q * size, c - size)
                load_drelu[real, vector](dy + (i * ow + j) * c + k,
                                         NULL if y == NULL else y + (i * ow + j) * c + k, &g)
                if not once:
                    drop_repeated[real, vector](masks, q * size - k, &g)
                load_argmax[real, vector](argmax + (i * words + (j >> log2_windows)) * c + k, bit,
                                          log2_windows, &at)
                pixel = dx + x0 * c + k
                for b in range(b0, b1):
                    where_argmax[vector](at, shifted(number + b, bit), g, &v)
                    if not once:
                        vload(before, pixel)
                        vadd(v, v, before)
                    vstore(pixel, v)
                    pixel += across


cdef void add_pixels(const real* pixel, dim count, dim across, vector* total) noexcept nogil:
    """total = sum of pixels; of more than a chain, the sum of two halves, which errs less."""
    cdef dim half = blocks_of(blocks_of(count, 2), CHAIN) * CHAIN, _b
    cdef vector v
    if count > CHAIN:
        add_pixels[real, vector](pixel, half, across, total)
        add_pixels[real, vector](pixel + half * across, count - half, across, &v)
        vadd(total[0], total[0], v)
        return
    vfill(total[0], 0)
    for _b in range(count):
        vload(v, pixel)
        vadd(total[0], total[0], v)
        pixel += across


cdef void add_lines(
    const real* pixel, dim lines, dim count, dim down, dim across, vector* total,
) noexcept nogil:
    """total = sum of the sums of ``count`` pixels of each line, in halves likewise."""
    cdef dim half = blocks_of(blocks_of(lines, 2), CHAIN) * CHAIN, _a
    cdef vector v
    if lines > CHAIN:
        add_lines[real, vector](pixel, half, count, down, across, total)
        add_lines[real, vector](pixel + half * down, lines - half, count, down, across, &v)
        vadd(total[0], total[0], v)
        return
    vfill(total[0], 0)
    for _a in range(lines):
        add_pixels[real, vector](pixel, count, across, &v)
        vadd(total[0], total[0], v)
        pixel += down


cdef void long_mean(
    const real* pixel, real* y, dim lines, dim count, dim down, dim across, dim c, real weight,
    vector* tag,
) noexcept nogil:
    """y = weight times the sum of a window; ``down`` from row to row, ``across`` within a row."""
    cdef dim size = sizeof(vector) // sizeof(real), q, k
    cdef vector total, v
    for q in range(blocks_of(c, size)):
        k = least(q * size, c - size)
        add_lines[real, vector](pixel + k, lines, count, down, across, &total)
        vfill(v, weight)
        vmultiply(total, total, v)
        vstore(y + k, total)


cdef inline void avg_row_forward(
    const real* x, real* y,                     # an image, row i of y
    dim i, const Pooling* p, vector* tag,
) noexcept nogil:
    """y = mean of each window, row by row: two short sums err less than a long one."""
    cdef dim size = sizeof(vector) // sizeof(real), c = p.c, w = p.w, kw = p.kw, sw = p.sw
    cdef dim dh = p.dh, dw = p.dw, across = dw * c
    cdef dim ow = p.ow, left = p.left, right = p.right, a, b0, b1, x0, _b, j, q, k
    cdef dim y0 = first_pixel(i, p.sh, p.top, p.h, p.oh)
    cdef dim lines = taps_of(i, y0, p.kh, p.sh, p.h, p.oh), taps
    cdef dim a0 = first_tap(y0, dh), a1 = past_tap(y0, lines, dh, p.h)
    cdef dim high = divisor(p.mean, y0, lines, dh, p.h, p.bottom)
    cdef int mean = p.mean
    cdef const real* pixel
    cdef real weight
    cdef vector total, line, v
    for j in range(ow):
        x0 = first_pixel(j, sw, left, w, ow)
        taps = taps_of(j, x0, kw, sw, w, ow)
        weight = <real> 1 / max(1, high * divisor(mean, x0, taps, dw, w, right))
        b0, b1 = first_tap(x0, dw), past_tap(x0, taps, dw, w)
        x0 += b0 * dw
        if max(a1 - a0, b1 - b0) > CHAIN:
            long_mean[real, vector](x + ((y0 + a0 * dh) * w + x0) * c, y + j * c, a1 - a0, b1 - b0,
                                    dh * w * c, across, c, weight, tag)
            continue
        for q in range(blocks_of(c, size)):
            k = least(q * size, c - size)
            vfill(total, 0)
            for a in range(a0, a1):
                pixel = x + ((y0 + a * dh) * w + x0) * c + k
                vfill(line, 0)
                for _b in range(b0, b1):
                    vload(v, pixel)
                    vadd(line, line, v)
                    pixel += across
                vadd(total, total, line)
            vfill(v, weight)
            vmultiply(total, total, v)
            vstore(y + j * c + k, total)


cdef inline void avg_row_backward(
    const real* dy, real* dx,                   # of an image, row a of dx
    dim a, const Pooling* p, vector* tag,
) noexcept nogil:
    """dx = sum of weight dy over the windows that cover the pixel."""
    cdef dim size = sizeof(vector) // sizeof(real), c = p.c, w = p.w, kw = p.kw, sw = p.sw
    cdef dim dh = p.dh, dw = p.dw, across = dw * c
    cdef dim ow = p.ow, left = p.left, right = p.right
    cdef dim i0 = first_window(a, p.kh, p.sh, dh, p.top, p.h, p.oh)
    cdef dim i1 = past_window(a, p.sh, p.top, p.h, p.oh)
    cdef dim high, i, j, q, k, _b, b0, b1, y0, x0, taps
    cdef int mean = p.mean
    cdef bint once = i1 - i0 == 1 and tiled(p)
    cdef real masks[2 * MAX_LANES]
    cdef real* pixel
    cdef real weight
    cdef vector g, v
    overlap_masks[real, vector](masks, tag)
    if not once:
        memset(dx, 0, w * c * sizeof(real))
    for i in range(i0, i1):
        y0 = first_pixel(i, p.sh, p.top, p.h, p.oh)
        if dh > 1 and (a - y0) % dh != 0:
            continue
        high = divisor(mean, y0, taps_of(i, y0, p.kh, p.sh, p.h, p.oh), dh, p.h, p.bottom)
        for j in range(ow):
            x0 = first_pixel(j, sw, left, w, ow)
            taps = taps_of(j, x0, kw, sw, w, ow)
            weight = <real> 1 / max(1, high * divisor(mean, x0, taps, dw, w, right))
            b0, b1 = first_tap(x0, dw), past_tap(x0, taps, dw, w)
            x0 += b0 * dw
            for q in range(blocks_of(c, size)):
                k = least(q * size, c - size)
                vload(g, dy + (i * ow + j) * c + k)
                vfill(v, weight)
                vmultiply(g, g, v)
                pixel = dx + x0 * c + k
                if once:
                    for _b in range(b0, b1):
                        vstore(pixel, g)
                        pixel += c
                    continue
                drop_repeated[real, vector](masks, q * size - k, &g)
                for _b in range(b0, b1):
                    vload(v, pixel)
                    vadd(v, v, g)
                    vstore(pixel, v)
                    pixel += across


cdef inline void forward_row(
    int kind, dim r, const Pooling* p, const real* x, real* argmax, real* y, vector* tag,
) noexcept nogil:
    """Row r of all rows of ``y``."""
    cdef dim i = r % p.oh
    x += r // p.oh * p.h * p.w * p.c
    y += r * p.ow * p.c
    argmax = NULL if argmax == NULL else argmax + r * p.words * p.c
    if kind == MAX_FORWARD and p.tiled_2x2 and real is float:
        max_2x2_forward[real, vector](x, y, argmax, i, p, tag)
    elif kind == MAX_FORWARD:
        max_row_forward[real, vector](x, y, argmax, i, p, tag)
    elif p.tiled_2x2 and real is float:
        avg_2x2_forward[real, vector](x, y, i, p, tag)
    else:
        avg_row_forward[real, vector](x, y, i, p, tag)


cdef inline void backward_row(
    int kind, dim r, const Pooling* p, const real* dy, const real* y, const real* argmax,
    real* dx, vector* tag,
) noexcept nogil:
    """Row r of all rows of ``dx``."""
    cdef dim image = r // p.h, a = r % p.h
    dy += image * p.oh * p.ow * p.c
    dx += r * p.w * p.c
    y = NULL if y == NULL else y + image * p.oh * p.ow * p.c
    argmax = NULL if argmax == NULL else argmax + image * p.oh * p.words * p.c
    if kind == MAX_BACKWARD and p.tiled_2x2 and real is float:
        max_2x2_backward[real, vector](dy, argmax, y, dx, a, p, tag)
    elif kind == MAX_BACKWARD:
        max_row_backward[real, vector](dy, argmax, y, dx, a, p, tag)
    elif p.tiled_2x2 and real is float:
        avg_2x2_backward[real, vector](dy, dx, a, p, tag)
    else:
        avg_row_backward[real, vector](dy, dx, a, p, tag)


cdef inline void row(
    int kind, dim r, const Pooling* p, const real* source, const real* y, real* argmax,
    real* target, vector* tag,
) noexcept nogil:
    if kind == MAX_FORWARD or kind == AVG_FORWARD:
        forward_row[real, vector](kind, r, p, source, argmax, target, tag)
    else:
        backward_row[real, vector](kind, r, p, source, y, argmax, target, tag)


cdef void rows(
    int kind, const Pooling* p, const real* source, const real* y, real* argmax, real* target,
) noexcept nogil:
    """All rows of ``target``."""
    cdef dim r, n = p.n * (p.oh if kind == MAX_FORWARD or kind == AVG_FORWARD else p.h)
    cdef double work = <double> p.n * p.oh * p.ow * p.c * p.kh * p.kw * sizeof(real) / 20
    cdef bint few = real is float and few_channels(kind, p)
    n = p.n * blocks_of(p.h, BAND) if few and kind == MAX_BACKWARD else n
    for r in prange(n, schedule="static", num_threads=threads_for(work)):
        if real is float:
            if few:
                few_row(kind, r, p, source, y, argmax, target)
            elif p.c >= VBYTES // 4:
                row[real, vecf](kind, r, p, source, y, argmax, target, <vecf*> NULL)
            elif p.c >= 4:
                row[real, shortf](kind, r, p, source, y, argmax, target, <shortf*> NULL)
            else:
                row[real, onef](kind, r, p, source, y, argmax, target, <onef*> NULL)
        else:
            if p.c >= VBYTES // 8:
                row[real, vecd](kind, r, p, source, y, argmax, target, <vecd*> NULL)
            elif p.c >= 2:
                row[real, shortd](kind, r, p, source, y, argmax, target, <shortd*> NULL)
            else:
                row[real, oned](kind, r, p, source, y, argmax, target, <oned*> NULL)


cdef bint describe(
    Pooling* p, dim itemsize,
    const dim* image, const dim* windows,       # shapes  (n, h, w, c), (n, oh, ow, c)
    dim kh, dim kw, dim sh, dim sw, dim dh, dim dw,
    dim top, dim left, dim bottom, dim right, int mean,
) noexcept nogil:
    """Fill in p; return whether it is a pooling in which no index can overflow."""
    cdef bint adaptive = kh == 0 and kw == 0 and sh == 0 and sw == 0
    if (image[0] != windows[0] or image[3] != windows[3]
            or not MEAN_OF_PIXELS <= mean <= MEAN_UNDIVIDED
            or min(top, left, bottom, right) < 0 or max(top, left, bottom, right) >= MAX_EXTENT
            or min(dh, dw) < 1 or max(dh, dw) >= MAX_EXTENT):
        return False
    if adaptive:
        if (max(top, left, bottom, right) > 0 or max(dh, dw) > 1 or min(windows[1], windows[2]) < 1
                or max(image[1], image[2], windows[1], windows[2]) >= MAX_EXTENT):
            return False
    elif (min(kh, kw, sh, sw) < 1 or max(kh, kw, sh, sw) >= MAX_EXTENT
            or not countable(windows[1], sh, kh, dh, top, bottom)
            or not countable(windows[2], sw, kw, dw, left, right)):
        return False
    p.n, p.h, p.w, p.c, p.oh, p.ow = image[0], image[1], image[2], image[3], windows[1], windows[2]
    p.kh, p.kw, p.sh, p.sw, p.dh, p.dw = kh, kw, sh, sw, dh, dw
    p.top, p.left, p.bottom, p.right, p.mean = top, left, bottom, right, mean
    p.log2_windows = log2_windows_of_word(kh, kw, itemsize)
    p.words = blocks_of(p.ow, 1 << p.log2_windows)
    p.tiled_2x2 = (min(kh, kw, sh, sw) == 2 and max(kh, kw, sh, sw) == 2 and max(dh, dw) == 1
                   and max(top, left) == 0 and 2 * p.oh <= p.h and 2 * p.ow <= p.w)
    p.few = itemsize == 4 and describe_planes(p, &p.planes)
    return True


def argmax_words(dim ow, dim kh, dim kw, dim itemsize):
    """Return how many words hold the argmax of a row of ``ow`` windows, in one channel."""
    return blocks_of(ow, 1 << log2_windows_of_word(kh, kw, itemsize))


def max_pool2d_forward(
    const real[:, :, :, ::1] x,         # in   (n, h, w, c)
    real[:, :, :, ::1] y,               # out  (n, oh, ow, c)
    real[:, :, :, ::1] argmax,          # out  (n, oh, argmax_words, c), or None
    dim kh, dim kw, dim sh, dim sw, dim top, dim left, dim dh=1, dim dw=1,
):
    """Write the largest value of each window of ``x`` to ``y``, and which it was."""
    cdef FloatMode _mode = flush_denormals()
    cdef Pooling p
    cdef real* at = NULL
    if (not describe(&p, sizeof(real), &x.shape[0], &y.shape[0], kh, kw, sh, sw, dh, dw, top, left,
                     0, 0, 0)
            or sh == 0 or not has_argmax(kh, kw)
            or (argmax is not None and not holds_argmax(&p, &argmax.shape[0]))):
        raise ValueError("x, y, argmax and the window do not belong to one pooling")
    if min(p.n, p.oh, p.ow, p.c) == 0:
        return
    if min(p.h, p.w) == 0:
        raise ValueError("x has no pixels")
    if argmax is not None:
        at = &argmax[0, 0, 0, 0]
    with nogil:
        rows(MAX_FORWARD, &p, &x[0, 0, 0, 0], NULL, at, &y[0, 0, 0, 0])


def max_pool2d_backward(
    const real[:, :, :, ::1] dy,        # in   (n, oh, ow, c)
    const real[:, :, :, ::1] argmax,    # in   (n, oh, argmax_words, c), as forward wrote it
    real[:, :, :, ::1] dx,              # out  (n, h, w, c), overwritten
    dim kh, dim kw, dim sh, dim sw, dim top, dim left, dim dh=1, dim dw=1,
    const real[:, :, :, ::1] y=None,    # in   (n, oh, ow, c), the output: dy counts where y > 0
):
    """Write the gradient of ``max_pool2d_forward`` with respect to ``x`` to ``dx``.

    With ``y`` it is that of a ReLU before the pooling as well. The value of a window is that of its
    argmax, so to stop dy where y is not above 0 is to stop dx where x is not.
    """
    cdef FloatMode _mode = flush_denormals()
    cdef Pooling p
    cdef const real* value = NULL
    if (not describe(&p, sizeof(real), &dx.shape[0], &dy.shape[0], kh, kw, sh, sw, dh, dw, top,
                     left, 0, 0, 0)
            or sh == 0 or not has_argmax(kh, kw) or not holds_argmax(&p, &argmax.shape[0])
            or (y is not None and not same_shape(&y.shape[0], &dy.shape[0], 4))):
        raise ValueError("dy, argmax, dx, y and the window do not belong to one pooling")
    if min(p.n, p.h, p.w, p.c) == 0:
        return
    if min(p.oh, p.ow) == 0:
        dx[...] = 0
        return
    if y is not None:
        value = &y[0, 0, 0, 0]
    with nogil:
        rows(MAX_BACKWARD, &p, &dy[0, 0, 0, 0], value, <real*> &argmax[0, 0, 0, 0],
             &dx[0, 0, 0, 0])


def avg_pool2d_forward(
    const real[:, :, :, ::1] x,         # in   (n, h, w, c)
    real[:, :, :, ::1] y,               # out  (n, oh, ow, c)
    dim kh, dim kw, dim sh, dim sw,     # all 0: the windows share out the image
    dim top, dim left, dim bottom, dim right,
    int mean,                           # mean_of_pixels, mean_with_padding or mean_undivided
    dim dh=1, dim dw=1,
):
    """Write the mean of each window of ``x`` to ``y``, or the sum."""
    cdef FloatMode _mode = flush_denormals()
    cdef Pooling p
    if not describe(&p, sizeof(real), &x.shape[0], &y.shape[0], kh, kw, sh, sw, dh, dw, top, left,
                    bottom, right, mean):
        raise ValueError("x, y and the window do not belong to one pooling")
    if min(p.n, p.oh, p.ow, p.c) == 0:
        return
    if min(p.h, p.w) == 0:
        raise ValueError("x has no pixels")
    with nogil:
        rows(AVG_FORWARD, &p, &x[0, 0, 0, 0], NULL, NULL, &y[0, 0, 0, 0])


def avg_pool2d_backward(
    const real[:, :, :, ::1] dy,        # in   (n, oh, ow, c)
    real[:, :, :, ::1] dx,              # out  (n, h, w, c), overwritten
    dim kh, dim kw, dim sh, dim sw, dim top, dim left, dim bottom, dim right,
    int mean, dim dh=1, dim dw=1,
):
    """Write the gradient of ``avg_pool2d_forward`` with respect to ``x`` to ``dx``."""
    cdef FloatMode _mode = flush_denormals()
    cdef Pooling p
    if not describe(&p, sizeof(real), &dx.shape[0], &dy.shape[0], kh, kw, sh, sw, dh, dw, top,
                    left, bottom, right, mean):
        raise ValueError("dy, dx and the window do not belong to one pooling")
    if min(p.n, p.h, p.w, p.c) == 0:
        return
    if min(p.oh, p.ow) == 0:
        dx[...] = 0
        return
    with nogil:
        rows(AVG_BACKWARD, &p, &dy[0, 0, 0, 0], NULL, NULL, &dx[0, 0, 0, 0])
