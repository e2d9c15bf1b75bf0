"""Max and average pooling of channels-last images.

A row of the output needs some rows of the input; backward, a row of ``dx`` needs some rows of
windows. So rows are independent of each other: threads share them out.

All channels of a pixel are treated alike, in vectors as wide as fit into c. The last one overlaps
the one before it: it repeats some channels, and no code for a remainder is needed.

    n, h, w, c   images, height, width, channels      kh, kw   window height, width
    oh, ow       output height, width                 sh, sw   step from window to window
    top, left, bottom, right   padding, never read: -inf to a maximum, nothing to a mean

Windows of a mean may also *share out* the image, sh = sw = 0: of ``oh`` windows number i covers the
rows from floor(i h / oh) to ceil((i + 1) h / oh), so that the size of the output can be chosen.

The *winner* of a window is the number of its largest pixel, counted along the window's rows. It
takes a byte in windows of at most 255 pixels, and a word as wide as ``real`` holds the winners of
as many neighbours as it has bytes. In larger windows a winner has a word of its own:

    winners (n, oh, words, c)   window j: word j >> share, from bit 8 (j mod 2^share) on
"""
from cython.parallel cimport prange
from libc.math cimport INFINITY
from libc.stddef cimport size_t
from libc.string cimport memset

from cnn_core.simd cimport VBYTES, oned, onef, shortd, shortf, vadd, vand_bits, vecd, vecf, vector
from cnn_core.simd cimport vequal_bits, vfill, vfill_bits, vgreater, vload, vmultiply, vor_bits
from cnn_core.simd cimport vselect, vstore, vunordered
from cnn_core.threads cimport threads_for
from cnn_core.types cimport blocks_of, dim, least, real, same_shape

cdef enum:
    MAX_FORWARD
    MEAN_FORWARD
    MAX_BACKWARD
    MEAN_BACKWARD

cdef enum:              # what the sum under a window is divided by
    PIXELS              # how many pixels of the image it counts
    ALL                 # the same, with the padding as pixels of value 0
    NOTHING             # it stays a sum

cdef enum:
    NUMBERS = 0x7fffffff    # most pixels of a window whose winner fits into a float's bits

cdef struct Pooling:
    dim n, h, w, c, oh, ow, kh, kw, sh, sw, top, left, bottom, right
    int count               # what a sum is divided by
    dim share, words        # 2^share winners are in a word; words of a row of windows
    bint paved              # windows of 2 x 2 side by side, within the image


cdef inline dim first_bit(dim j, dim share) noexcept nogil:
    """Return where in its word the winner of window j begins."""
    return 8 * (j & ((1 << share) - 1))


cdef inline dim shifted(dim number, dim bit) noexcept nogil:
    """Return number << bit, of which bit 63 is one like the others."""
    return <dim> (<size_t> number << bit)


cdef inline dim all_bits(dim bit, dim share) noexcept nogil:
    """Return the bits of a winner; all of them set mean that there is none."""
    return shifted(255, bit) if share > 0 else -1


cdef inline void take(
    const real* pixel, dim number, bint numbered, vector* best, vector* at,
) noexcept nogil:
    """Let a pixel win if it is larger than the best so far, or NaN."""
    cdef vector v, wins, nan, numbers
    vload(v, pixel)
    vgreater(wins, v, best[0])
    vunordered(nan, v)
    vor_bits(wins, wins, nan)
    vselect(best[0], wins, v, best[0])
    if numbered:
        vfill_bits(numbers, number)
        vselect(at[0], wins, numbers, at[0])


cdef inline void store_winner(real* word, vector at, dim bit) noexcept nogil:
    """Write a winner to its word, beside those of the windows before."""
    cdef vector v
    if bit > 0:
        vload(v, word)
        vor_bits(at, at, v)
    vstore(word, at)


cdef inline void max_row_forward(
    const real* x, real* y, real* winners,      # an image, row i of y and of winners (or NULL)
    dim i, const Pooling* p, vector* lane,      # NULL: only names the vector type
) noexcept nogil:
    """y = largest pixel of each window; of equals the first wins, of NaNs the last."""
    cdef dim size = sizeof(vector) // sizeof(real), c = p.c, w = p.w, kw = p.kw, sw = p.sw
    cdef dim ow = p.ow, share = p.share, y0 = i * p.sh - p.top, x0 = -p.left
    cdef dim a0 = max(0, y0), a1 = least(p.h, y0 + p.kh), b0, b1, a, b, j, q, k, bit, number
    cdef bint empty
    cdef const real* pixel
    cdef real* word
    cdef vector best, at
    for j in range(ow):
        b0, b1 = max(0, x0), least(w, x0 + kw)
        bit = first_bit(j, share)
        word = winners + (j >> share) * c
        for q in range(blocks_of(c, size)):
            k = least(q * size, c - size)
            number = (a0 - y0) * kw - x0
            vfill(best, -INFINITY)
            empty = a0 >= a1 or b0 >= b1
            vfill_bits(at, all_bits(bit, share) if empty else shifted(number + b0, bit))
            for a in range(a0, a1):
                pixel = x + (a * w + b0) * c + k
                for b in range(b0, b1):
                    take[real, vector](pixel, shifted(number + b, bit), winners != NULL, &best, &at)
                    pixel += c
                number += kw
            vstore(y + j * c + k, best)
            if winners != NULL:
                store_winner[real, vector](word + k, at, bit)
        x0 += sw


# Along one axis: which pixels a window covers, and which windows cover a pixel. Step 0: `count`
# windows share out `size` pixels.

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


cdef inline bint tiled(const Pooling* p) noexcept nogil:
    """Return whether every pixel of a row is in exactly one window of a row of windows."""
    if p.sw == 0:
        return p.w % p.ow == 0
    return (p.sw == p.kw or p.ow == 1) and (p.ow - 1) * p.sw + p.kw - p.left >= p.w


cdef inline void lane_masks(real* lanes, vector* lane) noexcept nogil:
    """Write a vector of no bits and one of all: `size` - k numbers on, only lanes k on are set."""
    cdef vector v
    vfill_bits(v, 0)
    vstore(lanes, v)
    vfill_bits(v, -1)
    vstore(lanes + sizeof(vector) // sizeof(real), v)


cdef inline void load_open(const real* dy, const real* y, vector* g) noexcept nogil:
    """g = dy; with y, 0 where that is not above 0."""
    cdef vector v, mask, zero
    vload(g[0], dy)
    if y != NULL:
        vfill(zero, 0)
        vload(v, y)
        vgreater(mask, v, zero)
        vand_bits(g[0], g[0], mask)


cdef inline void max_row_backward(
    const real* dy, const real* winners, const real* y,     # of an image; y or NULL
    real* dx, dim a, const Pooling* p, vector* lane,        # row a of dx
) noexcept nogil:
    """dx = sum of dy over the windows that the pixel won; with y, over those with y above 0."""
    cdef dim size = sizeof(vector) // sizeof(real), c = p.c, w = p.w, kw = p.kw, sw = p.sw
    cdef dim ow = p.ow, left = p.left, share = p.share, words = p.words
    cdef dim i0 = first_window(a, p.kh, p.sh, p.top, p.h, p.oh)
    cdef dim i1 = past_window(a, p.sh, p.top, p.h, p.oh)
    cdef dim i, j, q, k, b, b0, b1, bit, number
    cdef bint once = i1 - i0 == 1 and tiled(p)
    cdef real lanes[32]
    cdef real* pixel
    cdef vector g, at, v, mask
    lane_masks[real, vector](lanes, lane)
    if not once:
        memset(dx, 0, w * c * sizeof(real))
    for i in range(i0, i1):
        for j in range(ow):
            b0, b1 = max(0, j * sw - left), least(w, j * sw - left + kw)
            bit = first_bit(j, share)
            number = (a - i * p.sh + p.top) * kw - j * sw + left
            for q in range(blocks_of(c, size)):
                k = least(q * size, c - size)
                load_open[real, vector](dy + (i * ow + j) * c + k,
                                        NULL if y == NULL else y + (i * ow + j) * c + k, &g)
                if not once:                    # channels that the last vector repeats
                    vload(mask, lanes + size - (q * size - k))
                    vand_bits(g, g, mask)
                vload(at, winners + (i * words + (j >> share)) * c + k)
                vfill_bits(mask, all_bits(bit, share))
                vand_bits(at, at, mask)
                pixel = dx + b0 * c + k
                for b in range(b0, b1):
                    vfill_bits(v, shifted(number + b, bit))
                    vequal_bits(mask, at, v)
                    vand_bits(v, g, mask)
                    if not once:
                        vload(mask, pixel)
                        vadd(v, v, mask)
                    vstore(pixel, v)
                    pixel += c


cdef inline dim counted(
    int count, dim begin, dim end,      # of a window, along one axis
    dim size, dim after,                # pixels of the image; padding behind it
) noexcept nogil:
    """Return how many pixels along an axis a mean divides by."""
    if count == NOTHING:
        return 1
    if count == ALL:
        return least(end, size + after) - begin
    return max(0, least(end, size) - max(0, begin))


cdef inline void mean_row_forward(
    const real* x, real* y,                     # an image, row i of y
    dim i, const Pooling* p, vector* lane,
) noexcept nogil:
    """y = mean of each window: of the sums of its rows, for two short chains err less than one."""
    cdef dim size = sizeof(vector) // sizeof(real), c = p.c, w = p.w, kw = p.kw, sw = p.sw
    cdef dim ow = p.ow, left = p.left, right = p.right, a, b0, b1, _b, j, q, k
    cdef dim a0 = first_pixel(i, p.sh, p.top, p.h, p.oh)
    cdef dim a1 = past_pixel(i, p.kh, p.sh, p.top, p.h, p.oh)
    cdef dim high = counted(p.count, a0, a1, p.h, p.bottom)
    cdef int count = p.count
    cdef const real* pixel
    cdef real weight
    cdef vector total, line, v
    a0, a1 = max(0, a0), least(p.h, a1)
    for j in range(ow):
        b0, b1 = first_pixel(j, sw, left, w, ow), past_pixel(j, kw, sw, left, w, ow)
        weight = <real> 1 / max(1, high * counted(count, b0, b1, w, right))
        b0, b1 = max(0, b0), least(w, b1)
        for q in range(blocks_of(c, size)):
            k = least(q * size, c - size)
            vfill(total, 0)
            for a in range(a0, a1):
                pixel = x + (a * w + b0) * c + k
                vfill(line, 0)
                for _b in range(b0, b1):
                    vload(v, pixel)
                    vadd(line, line, v)
                    pixel += c
                vadd(total, total, line)
            vfill(v, weight)
            vmultiply(total, total, v)
            vstore(y + j * c + k, total)


cdef inline void mean_row_backward(
    const real* dy, real* dx,                   # of an image, row a of dx
    dim a, const Pooling* p, vector* lane,
) noexcept nogil:
    """dx = sum over the windows that hold the pixel of their share of dy."""
    cdef dim size = sizeof(vector) // sizeof(real), c = p.c, w = p.w, kw = p.kw, sw = p.sw
    cdef dim ow = p.ow, left = p.left, right = p.right
    cdef dim i0 = first_window(a, p.kh, p.sh, p.top, p.h, p.oh)
    cdef dim i1 = past_window(a, p.sh, p.top, p.h, p.oh)
    cdef dim high, i, j, q, k, _b, b0, b1
    cdef int count = p.count
    cdef bint once = i1 - i0 == 1 and tiled(p)
    cdef real lanes[32]
    cdef real* pixel
    cdef real weight
    cdef vector g, v
    lane_masks[real, vector](lanes, lane)
    if not once:
        memset(dx, 0, w * c * sizeof(real))
    for i in range(i0, i1):
        high = counted(count, first_pixel(i, p.sh, p.top, p.h, p.oh),
                       past_pixel(i, p.kh, p.sh, p.top, p.h, p.oh), p.h, p.bottom)
        for j in range(ow):
            b0, b1 = first_pixel(j, sw, left, w, ow), past_pixel(j, kw, sw, left, w, ow)
            weight = <real> 1 / max(1, high * counted(count, b0, b1, w, right))
            b0, b1 = max(0, b0), least(w, b1)
            for q in range(blocks_of(c, size)):
                k = least(q * size, c - size)
                vload(g, dy + (i * ow + j) * c + k)
                vfill(v, weight)
                vmultiply(g, g, v)
                pixel = dx + b0 * c + k
                if once:
                    for _b in range(b0, b1):
                        vstore(pixel, g)
                        pixel += c
                    continue
                vload(v, lanes + size - (q * size - k))
                vand_bits(g, g, v)
                for _b in range(b0, b1):
                    vload(v, pixel)
                    vadd(v, v, g)
                    vstore(pixel, v)
                    pixel += c


# The same, to the bit, for windows of 2 x 2 side by side, which nearly all are: the bounds of the
# loops above cost more than what is done with four numbers. Only in float32: it is a good part of
# this module.

cdef inline bint clear_rest(real* dx, dim a, const Pooling* p) noexcept nogil:
    """Write 0 where no window covers row a of dx; return whether any covers it."""
    cdef dim covered = 2 * p.ow * p.c if a // 2 < p.oh else 0
    if covered < p.w * p.c:
        memset(dx + covered, 0, (p.w * p.c - covered) * sizeof(real))
    return covered > 0


cdef inline void max_paved_forward(
    const real* x, real* y, real* winners, dim i, const Pooling* p, vector* lane,
) noexcept nogil:
    """y = largest pixel of each window; of equals the first wins, of NaNs the last."""
    cdef dim size = sizeof(vector) // sizeof(real), c = p.c, line = p.w * c, j, q, k, b, bit
    cdef const real* pixel
    cdef real* word
    cdef vector best, at
    for j in range(p.ow):
        bit = first_bit(j, p.share)
        word = winners + (j >> p.share) * c
        for q in range(blocks_of(c, size)):
            k = least(q * size, c - size)
            pixel = x + 2 * i * line + 2 * j * c + k
            vfill(best, -INFINITY)
            vfill_bits(at, 0)
            for b in range(4):
                take[real, vector](pixel + (b >> 1) * line + (b & 1) * c, shifted(b, bit),
                                   winners != NULL, &best, &at)
            vstore(y + j * c + k, best)
            if winners != NULL:
                store_winner[real, vector](word + k, at, bit)


cdef inline void max_paved_backward(
    const real* dy, const real* winners, const real* y, real* dx, dim a, const Pooling* p,
    vector* lane,
) noexcept nogil:
    """dx = dy of the window if the pixel won it; with y, if that is above 0."""
    cdef dim size = sizeof(vector) // sizeof(real), c = p.c, j, q, k, b, bit
    cdef vector g, at, v, mask
    if not clear_rest(dx, a, p):
        return
    dy += a // 2 * p.ow * c
    winners += a // 2 * p.words * c
    y = NULL if y == NULL else y + a // 2 * p.ow * c
    for j in range(p.ow):
        bit = first_bit(j, p.share)
        for q in range(blocks_of(c, size)):
            k = least(q * size, c - size)
            load_open[real, vector](dy + j * c + k, NULL if y == NULL else y + j * c + k, &g)
            vload(at, winners + (j >> p.share) * c + k)
            vfill_bits(mask, shifted(255, bit))
            vand_bits(at, at, mask)
            for b in range(2):
                vfill_bits(v, shifted(2 * (a & 1) + b, bit))
                vequal_bits(mask, at, v)
                vand_bits(v, g, mask)
                vstore(dx + (2 * j + b) * c + k, v)


cdef inline void mean_paved_forward(
    const real* x, real* y, dim i, const Pooling* p, vector* lane,
) noexcept nogil:
    """y = mean of each window."""
    cdef dim size = sizeof(vector) // sizeof(real), c = p.c, line = p.w * c, j, q, k
    cdef const real* pixel
    cdef vector total, lower, v, weight, zero
    vfill(weight, 1 if p.count == NOTHING else 0.25)
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


cdef inline void mean_paved_backward(
    const real* dy, real* dx, dim a, const Pooling* p, vector* lane,
) noexcept nogil:
    """dx = the window's share of dy."""
    cdef dim size = sizeof(vector) // sizeof(real), c = p.c, j, q, k
    cdef vector g, weight
    if not clear_rest(dx, a, p):
        return
    dy += a // 2 * p.ow * c
    vfill(weight, 1 if p.count == NOTHING else 0.25)
    for j in range(p.ow):
        for q in range(blocks_of(c, size)):
            k = least(q * size, c - size)
            vload(g, dy + j * c + k)
            vmultiply(g, g, weight)
            vstore(dx + 2 * j * c + k, g)
            vstore(dx + (2 * j + 1) * c + k, g)


cdef inline void row(
    int kind, dim r, const Pooling* p, const real* source, const real* y, real* winners,
    real* target, vector* lane,
) noexcept nogil:
    """Row r of all rows of ``target``."""
    cdef dim image, i
    cdef bint paved = p.paved and real is float
    if kind == MAX_FORWARD or kind == MEAN_FORWARD:
        image, i = r // p.oh, r % p.oh
        source += image * p.h * p.w * p.c
        target += r * p.ow * p.c
        if kind == MEAN_FORWARD and paved:
            mean_paved_forward[real, vector](source, target, i, p, lane)
        elif kind == MEAN_FORWARD:
            mean_row_forward[real, vector](source, target, i, p, lane)
        else:
            winners = NULL if winners == NULL else winners + r * p.words * p.c
            if paved:
                max_paved_forward[real, vector](source, target, winners, i, p, lane)
                return
            max_row_forward[real, vector](source, target, winners, i, p, lane)
    else:
        image, i = r // p.h, r % p.h
        source += image * p.oh * p.ow * p.c
        target += r * p.w * p.c
        if kind == MEAN_BACKWARD and paved:
            mean_paved_backward[real, vector](source, target, i, p, lane)
        elif kind == MEAN_BACKWARD:
            mean_row_backward[real, vector](source, target, i, p, lane)
        else:
            y = NULL if y == NULL else y + image * p.oh * p.ow * p.c
            winners += image * p.oh * p.words * p.c
            if paved:
                max_paved_backward[real, vector](source, winners, y, target, i, p, lane)
                return
            max_row_backward[real, vector](source, winners, y, target, i, p, lane)


cdef void rows(
    int kind, const Pooling* p, const real* source, const real* y, real* winners, real* target,
) noexcept nogil:
    """All rows of ``target``."""
    cdef dim r, n = p.n * (p.oh if kind == MAX_FORWARD or kind == MEAN_FORWARD else p.h)
    cdef double work = <double> p.n * p.oh * p.ow * p.c * p.kh * p.kw * sizeof(real) / 20
    for r in prange(n, schedule="static", num_threads=threads_for(work)):
        if real is float:
            if p.c >= VBYTES // 4:
                row[real, vecf](kind, r, p, source, y, winners, target, <vecf*> NULL)
            elif p.c >= 4:
                row[real, shortf](kind, r, p, source, y, winners, target, <shortf*> NULL)
            else:
                row[real, onef](kind, r, p, source, y, winners, target, <onef*> NULL)
        else:
            if p.c >= VBYTES // 8:
                row[real, vecd](kind, r, p, source, y, winners, target, <vecd*> NULL)
            elif p.c >= 2:
                row[real, shortd](kind, r, p, source, y, winners, target, <shortd*> NULL)
            else:
                row[real, oned](kind, r, p, source, y, winners, target, <oned*> NULL)


cdef dim share_for(dim kh, dim kw, dim itemsize) noexcept nogil:
    """Return the logarithm of how many winners share a word."""
    if kh * kw > 255:
        return 0
    return 2 if itemsize == 4 else 3


cdef bint describe(
    Pooling* p, dim itemsize,
    const dim* image, const dim* windows,       # shapes  (n, h, w, c), (n, oh, ow, c)
    dim kh, dim kw, dim sh, dim sw, dim top, dim left, dim bottom, dim right, int count,
) noexcept nogil:
    """Fill in p; return whether it is a pooling in which no index can overflow."""
    cdef dim limit = 1 << 30
    cdef bint shared = kh == 0 and kw == 0 and sh == 0 and sw == 0
    if (image[0] != windows[0] or image[3] != windows[3] or not PIXELS <= count <= NOTHING
            or min(top, left, bottom, right) < 0 or max(top, left, bottom, right) >= limit):
        return False
    if shared:
        if (max(top, left, bottom, right) > 0 or min(windows[1], windows[2]) < 1
                or max(image[1], image[2], windows[1], windows[2]) >= limit):
            return False
    elif min(kh, kw, sh, sw) < 1 or max(kh, kw, sh, sw) >= limit:
        return False
    p.n, p.h, p.w, p.c, p.oh, p.ow = image[0], image[1], image[2], image[3], windows[1], windows[2]
    p.kh, p.kw, p.sh, p.sw = kh, kw, sh, sw
    p.top, p.left, p.bottom, p.right, p.count = top, left, bottom, right, count
    p.share = share_for(kh, kw, itemsize)
    p.words = blocks_of(p.ow, 1 << p.share)
    p.paved = (min(kh, kw, sh, sw) == 2 and max(kh, kw, sh, sw) == 2 and max(top, left) == 0
               and 2 * p.oh <= p.h and 2 * p.ow <= p.w)
    return True


cdef bint holds_winners(const Pooling* p, const dim* shape) noexcept nogil:
    return shape[0] == p.n and shape[1] == p.oh and shape[2] == p.words and shape[3] == p.c


def winner_words(dim ow, dim kh, dim kw, dim itemsize):
    """Return how many words hold the winners of a row of ``ow`` windows, in one channel."""
    return blocks_of(ow, 1 << share_for(kh, kw, itemsize))


def max_pool2d_forward(
    const real[:, :, :, ::1] x,         # in   (n, h, w, c)
    real[:, :, :, ::1] y,               # out  (n, oh, ow, c)
    real[:, :, :, ::1] winners,         # out  (n, oh, winner_words, c), or None
    dim kh, dim kw, dim sh, dim sw, dim top, dim left,
):
    """Write the largest value of each window of ``x`` to ``y``, and which it was."""
    cdef Pooling p
    cdef real* at = NULL
    if (not describe(&p, sizeof(real), &x.shape[0], &y.shape[0], kh, kw, sh, sw, top, left, 0, 0, 0)
            or sh == 0 or kh * kw > NUMBERS
            or (winners is not None and not holds_winners(&p, &winners.shape[0]))):
        raise ValueError("x, y, winners and the window do not belong to one pooling")
    if min(p.n, p.oh, p.ow, p.c) == 0:
        return
    if min(p.h, p.w) == 0:
        raise ValueError("x has no pixels")
    if winners is not None:
        at = &winners[0, 0, 0, 0]
    with nogil:
        rows(MAX_FORWARD, &p, &x[0, 0, 0, 0], NULL, at, &y[0, 0, 0, 0])


def max_pool2d_backward(
    const real[:, :, :, ::1] dy,        # in   (n, oh, ow, c)
    const real[:, :, :, ::1] winners,   # in   (n, oh, winner_words, c), as forward wrote it
    real[:, :, :, ::1] dx,              # out  (n, h, w, c), overwritten
    dim kh, dim kw, dim sh, dim sw, dim top, dim left,
    const real[:, :, :, ::1] y=None,    # in   (n, oh, ow, c), the output: dy counts where it is > 0
):
    """Write the gradient of ``max_pool2d_forward`` with respect to ``x`` to ``dx``.

    With ``y`` it is that of a ReLU before the pooling as well. All windows that a pixel has won
    have its value, so to stop dy where y is not above 0 is to stop dx where x is not.
    """
    cdef Pooling p
    cdef const real* value = NULL
    if (not describe(&p, sizeof(real), &dx.shape[0], &dy.shape[0], kh, kw, sh, sw, top, left, 0, 0,
                     0)
            or sh == 0 or kh * kw > NUMBERS
            or not holds_winners(&p, &winners.shape[0])
            or (y is not None and not same_shape(&y.shape[0], &dy.shape[0], 4))):
        raise ValueError("dy, winners, dx, y and the window do not belong to one pooling")
    if min(p.n, p.h, p.w, p.c) == 0:
        return
    if min(p.oh, p.ow) == 0:
        dx[...] = 0
        return
    if y is not None:
        value = &y[0, 0, 0, 0]
    with nogil:
        rows(MAX_BACKWARD, &p, &dy[0, 0, 0, 0], value, <real*> &winners[0, 0, 0, 0],
             &dx[0, 0, 0, 0])


def avg_pool2d_forward(
    const real[:, :, :, ::1] x,         # in   (n, h, w, c)
    real[:, :, :, ::1] y,               # out  (n, oh, ow, c)
    dim kh, dim kw, dim sh, dim sw,     # all 0: the windows share out the image
    dim top, dim left, dim bottom, dim right,
    int count,                          # divide by: 0 pixels, 1 padding too, 2 nothing
):
    """Write the mean of each window of ``x`` to ``y``, or the sum."""
    cdef Pooling p
    if not describe(&p, sizeof(real), &x.shape[0], &y.shape[0], kh, kw, sh, sw, top, left, bottom,
                    right, count):
        raise ValueError("x, y and the window do not belong to one pooling")
    if min(p.n, p.oh, p.ow, p.c) == 0:
        return
    if min(p.h, p.w) == 0:
        raise ValueError("x has no pixels")
    with nogil:
        rows(MEAN_FORWARD, &p, &x[0, 0, 0, 0], NULL, NULL, &y[0, 0, 0, 0])


def avg_pool2d_backward(
    const real[:, :, :, ::1] dy,        # in   (n, oh, ow, c)
    real[:, :, :, ::1] dx,              # out  (n, h, w, c), overwritten
    dim kh, dim kw, dim sh, dim sw, dim top, dim left, dim bottom, dim right,
    int count,
):
    """Write the gradient of ``avg_pool2d_forward`` with respect to ``x`` to ``dx``."""
    cdef Pooling p
    if not describe(&p, sizeof(real), &dx.shape[0], &dy.shape[0], kh, kw, sh, sw, top, left,
                    bottom, right, count):
        raise ValueError("dy, dx and the window do not belong to one pooling")
    if min(p.n, p.h, p.w, p.c) == 0:
        return
    if min(p.oh, p.ow) == 0:
        dx[...] = 0
        return
    with nogil:
        rows(MEAN_BACKWARD, &p, &dy[0, 0, 0, 0], NULL, NULL, &dx[0, 0, 0, 0])
