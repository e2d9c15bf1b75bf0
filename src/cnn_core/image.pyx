"""Augmentation: images are gathered by index, changed, converted and scaled in one pass.

An image is read once, in the dtype in which it lies in memory or in a file. It stays in cache while
the operations of a list change it one after the other, each with numbers of this image. Nothing
depends on other images, so threads share out the images.

    n, c, h, w   images, channels, height, width       k   operations

=========  ===================================  ============================================
operation  what pixel i, j becomes              numbers of an image
=========  ===================================  ============================================
FLIP       the pixel mirrored                   whether rows, columns are reversed
SHIFT      pixel i + rows, j + columns          rows, columns, whether the edge reflects
AFFINE     bilinear between four pixels around  m: row m0 i + m1 j + m2, column m3 i + m4 j + m5
JITTER     brighter or darker, more contrast    factors of brightness and contrast, least, most
CUTOUT     the fill, inside a box               top, bottom, left, right; the ends excluded
=========  ===================================  ============================================
"""
from cython.parallel cimport prange, threadid
from libc.math cimport floor
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from cnn_core.memory cimport Buffer
from cnn_core.random cimport philox_block
from cnn_core.threads cimport FloatMode, flush_denormals, threads_for
from cnn_core.types cimport dim, least, real

ctypedef fused raw:         # what an image may consist of before it is converted
    uint8_t
    float
    double

cdef enum:
    FLIP = 0
    SHIFT = 1
    AFFINE = 2
    JITTER = 3
    CUTOUT = 4
    KINDS = 5
    VALUES = 6              # numbers of an image for one operation, at most

cdef double[3] GREY = [0.2989, 0.587, 0.114]    # weights of red, green and blue in torchvision

cdef struct Job:
    dim c, h, w, k
    const int64_t* kinds
    dim scale_step, shift_step      # 1: a number per entry of an image; 0: one per channel


cdef inline void reverse_row(real* row, dim w) noexcept nogil:
    """Mirror one row in place."""
    cdef dim j
    cdef real taken
    for j in range(w // 2):
        taken = row[j]
        row[j] = row[w - 1 - j]
        row[w - 1 - j] = taken


cdef void flip(real* x, const double* values, const Job* p) noexcept nogil:
    """Mirror an image in place."""
    cdef dim i, j, q, h = p.h, w = p.w
    cdef real taken
    cdef real* a
    cdef real* b
    for q in range(p.c):
        if values[0] != 0:
            for i in range(h // 2):
                a, b = x + (q * h + i) * w, x + (q * h + h - 1 - i) * w
                for j in range(w):
                    taken = a[j]
                    a[j] = b[j]
                    b[j] = taken
        if values[1] != 0:
            for i in range(h):
                reverse_row(x + (q * h + i) * w, w)


cdef inline dim reflected(dim i, dim n) noexcept nogil:
    """Return the index that lies at ``i`` if a row of ``n`` is mirrored at its first and last."""
    if i < 0:
        return -i
    return i if i < n else 2 * (n - 1) - i


cdef void shift_image(
    const real* x, real* y, const double* values, const real* fill, const Job* p,
) noexcept nogil:
    """Move an image by whole pixels."""
    cdef dim rows = <dim> values[0], columns = <dim> values[1], h = p.h, w = p.w
    cdef bint reflect = values[2] != 0
    cdef dim first = 0 if columns > 0 else least(-columns, w)       # inside: first ... last
    cdef dim last = w if columns < 0 else w - least(columns, w)
    cdef dim i, j, q, r
    cdef const real* row
    for q in range(p.c):
        for i in range(h):
            r = reflected(i + rows, h) if reflect else i + rows
            if r < 0 or r >= h:
                for j in range(w):
                    y[j] = fill[q]
            else:
                row = x + (q * h + r) * w
                for j in range(first, last):
                    y[j] = row[j + columns]
                for j in range(first):
                    y[j] = row[reflected(j + columns, w)] if reflect else fill[q]
                for j in range(last, w):
                    y[j] = row[reflected(j + columns, w)] if reflect else fill[q]
            y += w


cdef void affine(
    const real* x, real* y, const double* m, const real* fill, const Job* p,
) noexcept nogil:
    """Read an image between its pixels; beyond its edges it continues with ``fill``."""
    cdef dim i, j, q, r, s, h = p.h, w = p.w
    cdef double row, column
    cdef real down, right, v00, v01, v10, v11
    cdef bint top, bottom, left, last
    cdef const real* a
    for i in range(h):
        for j in range(w):
            row, column = m[0] * i + m[1] * j + m[2], m[3] * i + m[4] * j + m[5]
            if not (row > -1 and row < h and column > -1 and column < w):   # NaN is outside
                for q in range(p.c):
                    y[(q * h + i) * w + j] = fill[q]
                continue
            r, s = <dim> floor(row), <dim> floor(column)
            down, right = <real> (row - r), <real> (column - s)
            top, bottom, left, last = r >= 0, r + 1 < h, s >= 0, s + 1 < w
            for q in range(p.c):
                a = x + (q * h + r) * w + s
                v00 = a[0] if top and left else fill[q]
                v01 = a[1] if top and last else fill[q]
                v10 = a[w] if bottom and left else fill[q]
                v11 = a[w + 1] if bottom and last else fill[q]
                y[(q * h + i) * w + j] = ((1 - down) * ((1 - right) * v00 + right * v01)
                                          + down * ((1 - right) * v10 + right * v11))


cdef inline void blend(
    real* x, dim size, real factor, real other, double low, double high,
) noexcept nogil:
    """x = factor x + other, kept in low ... high; NaN stays."""
    cdef dim i
    cdef real v, bottom = <real> low, top = <real> high
    for i in range(size):
        v = factor * x[i] + other
        v = bottom if v < bottom else v
        x[i] = top if v > top else v


cdef void jitter(real* x, const double* values, const Job* p) noexcept nogil:
    """Change brightness, then contrast: the distance from the mean of the grey image."""
    cdef dim i, q, pixels = p.h * p.w
    cdef double mean = 0, total
    if values[0] != 1:
        blend(x, p.c * pixels, <real> values[0], <real> 0, values[2], values[3])
    if values[1] == 1:
        return
    for q in range(p.c):
        total = 0
        for i in range(pixels):
            total = total + x[q * pixels + i]
        mean = mean + total * (GREY[q] if p.c == 3 else 1.0 / p.c)
    mean = mean / pixels
    blend(x, p.c * pixels, <real> values[1], <real> ((1 - values[1]) * mean), values[2],
          values[3])


cdef inline dim clipped(double v, dim n) noexcept nogil:
    return 0 if v < 0 else least(<dim> v, n)


cdef void cutout(real* x, const double* values, const real* fill, const Job* p) noexcept nogil:
    """Fill a box, as far as it lies in the image."""
    cdef dim top = clipped(values[0], p.h), bottom = clipped(values[1], p.h)
    cdef dim left = clipped(values[2], p.w), right = clipped(values[3], p.w)
    cdef dim i, j, q
    for q in range(p.c):
        for i in range(top, bottom):
            for j in range(left, right):
                x[(q * p.h + i) * p.w + j] = fill[q]


cdef void finish(
    const real* x, real* y, const real* scale, const real* shift, const Job* p,
) noexcept nogil:
    """y = scale x + shift; x and y may be the same image."""
    cdef dim i, q, pixels = p.h * p.w
    cdef real factor, term
    if scale == NULL and shift == NULL:
        if x != y:
            memcpy(y, x, p.c * pixels * sizeof(real))
        return
    for q in range(p.c):
        if p.scale_step == 0 and p.shift_step == 0:
            factor = 1 if scale == NULL else scale[q]
            term = -0.0 if shift == NULL else shift[q]      # any zero can be added to -0
            for i in range(q * pixels, (q + 1) * pixels):
                y[i] = x[i] * factor + term
            continue
        for i in range(q * pixels, (q + 1) * pixels):
            factor, term = 1, -0.0
            if scale != NULL:
                factor = scale[i if p.scale_step else q]
            if shift != NULL:
                term = shift[i if p.shift_step else q]
            y[i] = x[i] * factor + term


cdef void image(
    const raw* x, real* y, real* spare, const double* values, const real* fill,
    const real* scale, const real* shift, const Job* p,
) noexcept nogil:
    """One image: convert it, run all operations, scale it."""
    cdef dim i, k
    cdef real* now = y
    cdef real* other = spare
    for i in range(p.c * p.h * p.w):
        y[i] = <real> x[i]
    for k in range(p.k):
        if p.kinds[k] == FLIP:
            flip(now, values, p)
        elif p.kinds[k] == JITTER:
            jitter(now, values, p)
        elif p.kinds[k] == CUTOUT:
            cutout(now, values, fill, p)
        else:
            if p.kinds[k] == SHIFT:
                shift_image(now, other, values, fill, p)
            else:
                affine(now, other, values, fill, p)
            now, other = other, now
        values += VALUES
        fill += p.c
    finish(now, y, scale, shift, p)


cdef bint are_right(const double[:, :, ::1] values, const Job* p) noexcept nogil:
    """Return whether operations are known, and whole pixels can be counted."""
    cdef dim i, k, v
    cdef const double* a
    for k in range(p.k):
        if p.kinds[k] < 0 or p.kinds[k] >= KINDS:
            return False
        for i in range(values.shape[0]):
            a = &values[i, k, 0]
            for v in range(VALUES):
                if ((p.kinds[k] == SHIFT or p.kinds[k] == CUTOUT)
                        and not (a[v] > -2.0 ** 30 and a[v] < 2.0 ** 30)):
                    return False
            if p.kinds[k] == SHIFT and a[2] != 0 and not (
                    a[0] > -p.h and a[0] < p.h and a[1] > -p.w and a[1] < p.w):
                return False
    return True


cdef inline dim step_of(const real[:, ::1] a, const Job* p) except -1:
    """Return 1 for a number per entry of an image, 0 for one per channel or none."""
    if a is None:
        return 0
    if a.shape[0] != p.c or (a.shape[1] != 1 and a.shape[1] != p.h * p.w):
        raise ValueError("scale and shift must have a number per channel or per entry")
    return a.shape[1] != 1


def augment(
    const raw[:, :, :, ::1] x,          # in   (samples, c, h, w)
    const int64_t[::1] index,           # in   (n,), which samples
    const int64_t[::1] kinds,           # in   (k,), the operations
    const double[:, :, ::1] values,     # in   (n, k, VALUES), their numbers
    const real[:, ::1] fill,            # in   (k, c), their fill
    const real[:, ::1] scale,           # in   (c, 1) or (c, h * w), or None
    const real[:, ::1] shift,           # in   likewise
    real[:, :, :, ::1] y,               # out  (n, c, h, w)
):
    """Write samples to ``y``, changed and scaled."""
    cdef FloatMode _mode = flush_denormals()
    cdef Job p
    cdef dim n = index.shape[0], size, i
    cdef int threads
    cdef double work
    cdef Buffer workspace
    cdef real* spare
    cdef const double* numbers = NULL
    cdef const real* fills = NULL
    cdef const real* factors = NULL
    cdef const real* terms = NULL
    p.c, p.h, p.w, p.k = x.shape[1], x.shape[2], x.shape[3], kinds.shape[0]
    size = p.c * p.h * p.w
    p.kinds = NULL
    if (y.shape[0] != n or y.shape[1] != p.c or y.shape[2] != p.h or y.shape[3] != p.w
            or values.shape[0] != n or values.shape[1] != p.k or values.shape[2] != VALUES
            or fill.shape[0] != p.k or fill.shape[1] != p.c):
        raise ValueError("x, y and the operations do not belong together")
    p.scale_step, p.shift_step = step_of[real](scale, &p), step_of[real](shift, &p)
    for i in range(n):
        if index[i] < 0 or index[i] >= x.shape[0]:
            raise IndexError(f"index {index[i]} is out of range for {x.shape[0]} samples")
    if n == 0 or size == 0:
        return
    if p.k > 0:
        p.kinds, numbers, fills = &kinds[0], &values[0, 0, 0], &fill[0, 0]
        if not are_right(values, &p):
            raise ValueError("the operations are not known, or their numbers out of range")
    if scale is not None:
        factors = &scale[0, 0]
    if shift is not None:
        terms = &shift[0, 0]
    work = <double> n * size
    for i in range(p.k):
        work = work + <double> n * size * (8 if kinds[i] == AFFINE else 0.5)
    threads = threads_for(work)
    workspace = Buffer(<double> threads * size * sizeof(real))
    spare = <real*> workspace.memory
    for i in prange(n, nogil=True, schedule="static", num_threads=threads):
        image[raw, real](&x[index[i], 0, 0, 0], &y[i, 0, 0, 0], spare + threadid() * size,
                         numbers + i * p.k * VALUES, fills, factors, terms, &p)


def mix(
    const real[:, :, :, ::1] x,         # in   (n, c, h, w)
    const int64_t[::1] partner,         # in   (n,), of each image
    const double[::1] share,            # in   (n,), of the image itself inside its box
    const int64_t[:, ::1] box,          # in   (n, 4): top, bottom, left, right
    real[:, :, :, ::1] y,               # out  (n, c, h, w)
):
    """Write to ``y`` the images, mixed with their partners inside a box; whole outside of it."""
    cdef FloatMode _mode = flush_denormals()
    cdef dim n = x.shape[0], c = x.shape[1], h = x.shape[2], w = x.shape[3], i, q, r, j
    cdef real own
    cdef const real* a
    cdef const real* b
    cdef real* out
    if (y.shape[0] != n or y.shape[1] != c or y.shape[2] != h or y.shape[3] != w
            or partner.shape[0] != n or share.shape[0] != n or box.shape[0] != n
            or box.shape[1] != 4):
        raise ValueError("x, y, partners, shares and boxes do not belong together")
    for i in range(n):
        if (partner[i] < 0 or partner[i] >= n or box[i, 0] < 0 or box[i, 1] > h
                or box[i, 2] < 0 or box[i, 3] > w):
            raise ValueError(f"the partner or the box of image {i} is out of range")
    if n * c * h * w == 0:
        return
    for i in prange(n, nogil=True, schedule="static", num_threads=threads_for(
            <double> n * c * h * w)):
        own = <real> share[i]
        for q in range(c):
            for r in range(h):
                a, b, out = &x[i, q, r, 0], &x[partner[i], q, r, 0], &y[i, q, r, 0]
                memcpy(out, a, w * sizeof(real))
                if r >= box[i, 0] and r < box[i, 1]:
                    for j in range(box[i, 2], box[i, 3]):
                        out[j] = own * a[j] + (1 - own) * b[j]


def draw(
    double[:, ::1] out,                 # out  (n, m)
    const int64_t[::1] numbers,         # in   (n,), of the samples
    uint64_t seed, uint32_t epoch, uint32_t call,
):
    """Fill row i with uniform numbers in [0, 1), a function of ``numbers[i]`` and the last three.

    A block of Philox4x32-10 gives two of 53 bits; the next two are those of the next call.
    """
    cdef FloatMode _mode = flush_denormals()
    cdef dim i, k, n = out.shape[0], m = out.shape[1]
    cdef uint32_t words[4]
    if numbers.shape[0] != n:
        raise ValueError("each row needs the number of its sample")
    with nogil:
        for i in range(n):
            for k in range(m):
                if k % 2 == 0:
                    philox_block(seed, <uint64_t> numbers[i], epoch, call + <uint32_t> (k // 2),
                                 words)
                out[i, k] = ((<uint64_t> words[2 * (k % 2)] << 32 | words[2 * (k % 2) + 1]) >> 11
                             ) * 2.0 ** -53
