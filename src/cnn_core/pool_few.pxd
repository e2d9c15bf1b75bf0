# cython: cdivision=True, language_level=3
"""Pooling of images with few channels: the same as `pool`, to the bit, in vectors of windows.

In float32 only, as `pool_2x2`.

`pool` takes the channels of a pixel as a vector, of which one or three channels fill little. Here a
row of pixels is cut into *planes*, one for each pixel that a step from window to window skips:
entry b of all windows of a row lies in one plane then, one window beside the other.

    plane s   pixels s, s + sw, s + 2 sw ... of a row, with its padding; pixel q of it begins at
              s span + q c
    at[b]     where entry b of the first window begins; entry b of window j, channel k, is at
              at[b] + j c + k

Backward, the gradient of a mean is added up in planes likewise. That of a maximum goes from each
window to one pixel: an image is taken window by window.
"""
from libc.math cimport INFINITY
from libc.stdint cimport uint32_t
from libc.string cimport memset

from cnn_core.argmax_pack cimport MAX_PIXELS_OF_BYTE, first_bit, keep_larger
from cnn_core.pool_windows cimport AVG_BACKWARD, AVG_FORWARD, MAX_BACKWARD, MAX_FORWARD
from cnn_core.pool_windows cimport MAX_TAPS, MEAN_UNDIVIDED, Planes, Pooling, divisor, first_tap
from cnn_core.pool_windows cimport first_window, past_tap, past_window, tiled
from cnn_core.simd cimport MAX_LANES, VBYTES, as_written, vecf, vfill, vload, vstore
from cnn_core.types cimport blocks_of, dim, least

cdef enum:
    ROW = 2048              # numbers of all planes of a row, or of its windows, at most
    BAND = 32               # rows of dx that one thread takes at a time
    ROOM = ROW + 4 * MAX_LANES


cdef inline bint fits(const Pooling* p) noexcept nogil:
    """Return whether the functions here can do a pooling."""
    cdef dim size = VBYTES // 4
    cdef dim length = p.ow + (p.kw - 1) * p.dw // max(1, p.sw)
    return (p.c < size and 0 < p.sw <= MAX_TAPS and max(p.kh, p.kw) <= MAX_TAPS
            and p.kh * p.kw < MAX_PIXELS_OF_BYTE and length <= ROW
            and p.sw * (length * p.c + size) <= ROW)


cdef inline bint describe_planes(const Pooling* p, Planes* planes) noexcept nogil:
    """Fill in the planes; return whether the functions here can do the pooling."""
    cdef dim size = VBYTES // 4, b, s
    if not fits(p):
        return False
    planes.count = p.sw
    planes.length = p.ow + (p.kw - 1) * p.dw // p.sw
    planes.span = planes.length * p.c + size
    for b in range(p.kw):
        planes.plane[b] = b * p.dw % p.sw
        planes.at[b] = planes.plane[b] * planes.span + b * p.dw // p.sw * p.c
        as_written()
    for s in range(p.sw):
        planes.end[s] = least(planes.length, blocks_of(max(0, p.w + p.left - s), p.sw))
        planes.begin[s] = least(planes.end[s], blocks_of(max(0, p.left - s), p.sw))
        as_written()
    return True


cdef inline void copy_pixels(
    dim c, dim pixels, const float* x, dim from_step, float* y, dim to_step,
) noexcept nogil:
    """Copy pixels of c numbers, channel by channel: the loop over pixels is the long one."""
    cdef dim q, k
    for k in range(c):
        for q in range(pixels):
            y[q * to_step + k] = x[q * from_step + k]
            as_written()


cdef inline void split(
    const float* x, const Pooling* p, const Planes* planes, float padding, float* to,
) noexcept nogil:
    """Cut a row of pixels into planes."""
    cdef dim s, q0, q1, k, c = p.c
    for s in range(planes.count):
        q0, q1 = planes.begin[s], planes.end[s]
        for k in range(q0 * c):
            to[k] = padding
            as_written()
        copy_pixels(c, q1 - q0, x + (q0 * p.sw + s - p.left) * c, p.sw * c, to + q0 * c, c)
        for k in range(q1 * c, planes.span):
            to[k] = padding
            as_written()
        to += planes.span


cdef inline void join(
    const float* planes_of_row, const Pooling* p, const Planes* planes, float* dx,
) noexcept nogil:
    """Make a row of pixels of planes; pixels after them are 0."""
    cdef dim s, q0, q1, c = p.c
    if planes.length * p.sw - p.left < p.w:
        memset(dx, 0, p.w * c * sizeof(float))
    for s in range(planes.count):
        q0, q1 = planes.begin[s], planes.end[s]
        copy_pixels(c, q1 - q0, planes_of_row + s * planes.span + q0 * c, c,
                    dx + (q0 * p.sw + s - p.left) * c, p.sw * c)


cdef inline void first_numbers(
    const Pooling* p, dim a0, dim a1, uint32_t* numbers,
) noexcept nogil:
    """Write the number of the first pixel of each window, for each channel."""
    cdef dim j, k, b0
    cdef uint32_t number
    for j in range(p.ow):
        b0 = first_tap(j * p.sw - p.left, p.dw)
        number = MAX_PIXELS_OF_BYTE         # all of the window is padding
        if a0 < a1 and b0 < past_tap(j * p.sw - p.left, p.kw, p.dw, p.w):
            number = <uint32_t> (a0 * p.kw + b0)
        for k in range(p.c):
            numbers[j * p.c + k] = number
            as_written()


cdef inline void pack_argmax(
    const uint32_t* numbers, const Pooling* p, uint32_t* words,
) noexcept nogil:
    """Write the numbers of pixels to the words of a row, see `argmax_pack`."""
    cdef dim j, k, bit, c = p.c, word
    for j in range(p.ow):
        bit, word = first_bit(j, p.log2_windows), (j >> p.log2_windows) * c
        for k in range(c):
            words[word + k] = (0 if bit == 0 else words[word + k]) | numbers[j * c + k] << bit
            as_written()


cdef inline void fill_weights(dim high, const Pooling* p, float* weights) noexcept nogil:
    """Write what the sum of each window of a row is multiplied by, for each channel."""
    cdef dim j, k, last = (p.ow - 1) * p.sw - p.left
    cdef dim inside = 1 if p.mean == MEAN_UNDIVIDED else p.kw
    cdef float weight = <float> 1 / max(1, high * inside)
    for k in range(p.ow * p.c):
        weights[k] = weight
        as_written()
    if (divisor(p.mean, -p.left, p.kw, p.dw, p.w, p.right) == inside
            and divisor(p.mean, last, p.kw, p.dw, p.w, p.right) == inside):
        return                                  # then it is that of all windows between them
    for j in range(p.ow):
        weight = <float> 1 / max(
            1, high * divisor(p.mean, j * p.sw - p.left, p.kw, p.dw, p.w, p.right))
        for k in range(p.c):
            weights[j * p.c + k] = weight
            as_written()


cdef inline void few_forward(
    bint largest, const float* x, float* y, float* argmax,      # argmax: a row, or NULL
    dim i, const Pooling* p,
) noexcept nogil:
    """y = largest pixel, or mean, of each window: the rules and the order of sums of `pool`."""
    cdef dim size = VBYTES // 4, c = p.c, n = p.ow * c, a, b, t, y0 = i * p.sh - p.top
    cdef dim a0 = first_tap(y0, p.dh), a1 = past_tap(y0, p.kh, p.dh, p.h)
    cdef float row[ROOM]
    cdef float results[ROOM]
    cdef float others[ROOM]                     # numbers of pixels, or weights
    cdef vecf result, at, v
    for t in range(n):
        results[t] = -INFINITY if largest else 0
        as_written()
    if largest:
        first_numbers(p, a0, a1, <uint32_t*> others)
    else:
        fill_weights(divisor(p.mean, y0, p.kh, p.dh, p.h, p.bottom), p, others)
    for a in range(a0, a1):
        split(x + (y0 + a * p.dh) * p.w * c, p, &p.planes, -INFINITY if largest else 0, row)
        t = 0
        while t < n:
            vload(result, results + t)
            if largest:
                vload(at, others + t)
                for b in range(p.kw):
                    keep_larger[float, vecf](row + p.planes.at[b] + t, a * p.kw + b, True, &result,
                                             &at)
                vstore(others + t, at)
            else:
                vfill(at, 0)
                for b in range(p.kw):
                    vload(v, row + p.planes.at[b] + t)
                    at = at + v
                result = result + at
            vstore(results + t, result)
            t += size
    for t in range(n):
        y[t] = results[t] if largest else results[t] * others[t]
        as_written()
    if argmax != NULL:
        pack_argmax(<uint32_t*> others, p, <uint32_t*> argmax)


cdef inline void max_few_backward(
    const float* dy, const uint32_t* argmax, const float* y,    # of an image; y or NULL
    float* dx, dim first, dim rows, const Pooling* p,       # rows of dx, from the first on
) noexcept nogil:
    """dx = sum of dy over the windows whose argmax is the pixel; with y, where that is above 0."""
    cdef dim c = p.c, j, k, number, y0, base, line, place
    cdef dim i = first_window(first, p.kh, p.sh, p.dh, p.top, p.h, p.oh)
    cdef dim stop = past_window(first + rows - 1, p.sh, p.top, p.h, p.oh)
    cdef dim lines[MAX_PIXELS_OF_BYTE]
    cdef dim places[MAX_PIXELS_OF_BYTE]
    for number in range(p.kh * p.kw):
        lines[number] = number // p.kw * p.dh
        places[number] = (lines[number] * p.w + number % p.kw * p.dw) * c
        as_written()
    memset(dx + first * p.w * c, 0, rows * p.w * c * sizeof(float))
    while i < stop:
        y0 = i * p.sh - p.top
        for j in range(p.ow):
            base = (y0 * p.w + j * p.sw - p.left) * c
            for k in range(c):
                number = argmax[(i * p.words + (j >> p.log2_windows)) * c + k]
                number = number >> first_bit(j, p.log2_windows) & 255
                if number == MAX_PIXELS_OF_BYTE:
                    continue                    # all of the window is padding
                line, place = y0 + lines[number], (i * p.ow + j) * c + k
                if first <= line < first + rows and (y == NULL or y[place] > 0):
                    dx[base + places[number] + k] += dy[place]
        i += 1


cdef inline void avg_few_backward(
    const float* dy, float* dx, dim a, const Pooling* p,         # row a of dx
) noexcept nogil:
    """dx = sum of weight dy over the windows that cover the pixel."""
    cdef dim size = VBYTES // 4, c = p.c, n = p.ow * c, b, t, s, y0, begin
    cdef dim i = first_window(a, p.kh, p.sh, p.dh, p.top, p.h, p.oh)
    cdef dim stop = past_window(a, p.sh, p.top, p.h, p.oh)
    cdef float sums[ROOM]
    cdef float weights[ROOM]
    cdef float shares[ROOM + ROW]                # of dy, with zeros on both sides
    cdef float* share
    cdef vecf total, v
    begin = (p.planes.length - p.ow) * c
    share = shares + begin
    memset(shares, 0, begin * sizeof(float))
    memset(share + n, 0, (begin + size) * sizeof(float))
    memset(sums, 0, p.planes.count * p.planes.span * sizeof(float))
    while i < stop:
        y0 = i * p.sh - p.top
        if (a - y0) % p.dh == 0:
            fill_weights(divisor(p.mean, y0, p.kh, p.dh, p.h, p.bottom), p, weights)
            for t in range(n):
                share[t] = dy[i * n + t] * weights[t]
                as_written()
            for s in range(p.planes.count):
                t = 0
                while t < p.planes.length * c:
                    vload(total, sums + s * p.planes.span + t)
                    for b in range(p.kw - 1, -1, -1):       # windows from left to right
                        if p.planes.plane[b] == s:
                            vload(v, share + t - (p.planes.at[b] - s * p.planes.span))
                            total = total + v
                    vstore(sums + s * p.planes.span + t, total)
                    t += size
        i += 1
    join(sums, p, &p.planes, dx)


cdef inline bint few_channels(int kind, const Pooling* p) noexcept nogil:
    """Return whether to use the functions here; backward, windows side by side need no addition.

    Vectors of 16 bytes gain little, and would not be worth the code.
    """
    if VBYTES <= 16 or not p.few:
        return False
    if kind == MAX_BACKWARD:
        return not tiled(p)
    if kind == AVG_BACKWARD:
        return p.c < 4 and not tiled(p)
    return p.c < 4 and (kind == MAX_FORWARD or not p.tiled_2x2)


cdef inline void few_row(
    int kind, dim r, const Pooling* p, const float* source, const float* y, float* argmax,
    float* target,
) noexcept nogil:
    """Row r of ``target``; of a maximum backward, band r."""
    cdef dim bands = blocks_of(p.h, BAND), windows = p.oh * p.ow * p.c, image = p.h * p.w * p.c, m
    if kind == MAX_FORWARD or kind == AVG_FORWARD:
        few_forward(kind == MAX_FORWARD, source + r // p.oh * image, target + r * p.ow * p.c,
                    NULL if argmax == NULL else argmax + r * p.words * p.c, r % p.oh, p)
    elif kind == AVG_BACKWARD:
        avg_few_backward(source + r // p.h * windows, target + r * p.w * p.c, r % p.h, p)
    else:
        m = r // bands
        max_few_backward(source + m * windows, <uint32_t*> argmax + m * p.oh * p.words * p.c,
                         NULL if y == NULL else y + m * windows, target + m * image,
                         r % bands * BAND, least(BAND, p.h - r % bands * BAND), p)
