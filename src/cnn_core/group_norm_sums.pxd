# cython: cdivision=True, language_level=3
"""Sums over the pixels of one sample, a matrix of pixels x c, for `group_norm`.

Vectors of PIXELS pixels are added in pairs, and their sum to the short sums of the columns; after
SHORT_ROWS pixels those are folded into totals in double, see `reduce`.

    values    of a row, pixels times c; the last pixel may be a part of one
    wide      columns rounded up to whole vectors: the length of arrays of one number per column
    step      from the gamma of one pixel to that of the next: 0, or c with one per entry
"""
from cnn_core.reduce cimport SHORT_ROWS, fold
from cnn_core.simd cimport lanes, vec, vload, vload_tail, vstore, vstore_tail
from cnn_core.types cimport dim, least, real

cdef enum:
    PIXELS = 4          # pixels whose vectors are added in pairs


cdef inline void add_vectors(
    dim pixels, bint squares, dim n,            # literals, but for the n numbers of a tail
    const real* x, dim c, const real* mean,
    real* sums, vec* tag,                       # tag: NULL, only names the vector type
) noexcept nogil:
    """sums += x, or (x - mean)^2, for a vector of one pixel, or of PIXELS."""
    cdef vec v[PIXELS]
    cdef vec m, s
    cdef dim i
    vload_tail(m, mean, n)
    for i in range(pixels):
        vload_tail(v[i], x + i * c, n)
        if squares:
            v[i] = v[i] - m
            v[i] = v[i] * v[i]
    vload(s, sums)
    if pixels == PIXELS:
        v[0] = (v[0] + v[1]) + (v[2] + v[3])
    s = s + v[0]
    vstore(sums, s)


cdef inline void add_pixels(
    dim pixels, bint squares, const real* x, dim n, dim c, const real* mean, real* sums, vec* tag,
) noexcept nogil:
    """Do the work of `add_up` for one pixel, of which there are n numbers, or for PIXELS."""
    cdef dim size = lanes(sizeof(real)), k = 0
    while k + size <= n:
        add_vectors(pixels, squares, size, x + k, c, mean + k, sums + k, tag)
        k += size
    if k < n:
        add_vectors(pixels, squares, n - k, x + k, c, mean + k, sums + k, tag)


cdef inline void add_up(
    bint squares, const real* x, dim values, dim c, const real* mean,
    real* sums,                                 # work (wide,), zeros before and after
    double* totals,                             # out  (wide,), added to
    dim wide, vec* tag,
) noexcept nogil:
    """totals += x, or (x - mean)^2, for each column of a row."""
    cdef dim left, n
    while values > 0:
        left = least(values, SHORT_ROWS * c)
        values -= left
        while left > 0:
            if left >= PIXELS * c:
                n = PIXELS * c
                add_pixels(PIXELS, squares, x, c, c, mean, sums, tag)
            else:
                n = least(left, c)
                add_pixels(1, squares, x, n, c, mean, sums, tag)
            x += n
            left -= n
        fold(sums, totals, wide)


cdef inline void gradient_vectors(
    dim pixels, dim n, const real* x, const real* dy, dim c, const real* gamma, dim step,
    const real* columns, dim wide,
    real* sums, real* dgamma, real* dbeta, vec* tag,
) noexcept nogil:
    """Do the work of `add_up_gradients` for a vector of one pixel, or of PIXELS."""
    cdef vec mean, inv_std, s, p, v, g, a
    cdef dim i
    vload(mean, columns)
    vload(inv_std, columns + wide)
    vload(s, sums)
    vload(p, sums + wide)
    for i in range(pixels):
        vload_tail(v, x + i * c, n)
        vload_tail(g, dy + i * c, n)
        v = (v - mean) * inv_std
        if step > 0:
            vload_tail(a, dbeta + i * step, n)
            a = a + g
            vstore_tail(dbeta + i * step, a, n)
            vload_tail(a, dgamma + i * step, n)
            a = a + g * v
            vstore_tail(dgamma + i * step, a, n)
            vload_tail(a, gamma + i * step, n)
            g = g * a
        s = s + g
        p = p + g * v
    vstore(sums, s)
    vstore(sums + wide, p)


cdef inline void gradient_pixels(
    dim pixels, const real* x, const real* dy, dim n, dim c, const real* gamma, dim step,
    const real* columns, dim wide,
    real* sums, real* dgamma, real* dbeta, vec* tag,
) noexcept nogil:
    """Do the work of `add_up_gradients` for one pixel, of which there are n numbers, or PIXELS."""
    cdef dim size = lanes(sizeof(real)), k = 0
    while k + size <= n:
        gradient_vectors(pixels, size, x + k, dy + k, c, gamma + k, step, columns + k, wide,
                         sums + k, dgamma + k, dbeta + k, tag)
        k += size
    if k < n:
        gradient_vectors(pixels, n - k, x + k, dy + k, c, gamma + k, step, columns + k, wide,
                         sums + k, dgamma + k, dbeta + k, tag)


cdef inline void add_up_gradients(
    const real* x, const real* dy, dim values, dim c, const real* gamma, dim step,
    const real* columns,                        # mean, inv_std  (2, wide)
    real* sums,                                 # work (2, wide), zeros before and after
    double* totals,                             # out  (4, wide), the first two zeros
    real* dgamma, real* dbeta,                  # out  one per gamma, added to
    dim wide, vec* tag,
) noexcept nogil:
    """Sums of dy gamma, and of dy gamma normal, for each column; normal = (x - mean) inv_std.

    dgamma and dbeta take dy normal and dy. Where the pixels share a gamma, it is multiplied last,
    and the other totals take them.
    """
    cdef dim left, n, k, pixels
    while values > 0:
        left = least(values, SHORT_ROWS * c)
        values -= left
        while left > 0:
            if left >= PIXELS * c:
                n, pixels = PIXELS * c, PIXELS
                gradient_pixels(PIXELS, x, dy, c, c, gamma, step, columns, wide, sums, dgamma,
                                dbeta, tag)
            else:
                n, pixels = least(left, c), 1
                gradient_pixels(1, x, dy, n, c, gamma, step, columns, wide, sums, dgamma, dbeta,
                                tag)
            x += n
            dy += n
            gamma += pixels * step
            dgamma += pixels * step
            dbeta += pixels * step
            left -= n
        fold(sums, totals, 2 * wide)
    if step == 0:
        for k in range(2 * wide):
            totals[2 * wide + k] += totals[k]
        for k in range(c):
            totals[k] *= gamma[k]
            totals[wide + k] *= gamma[k]


cdef inline void gather(double* totals, dim groups, dim each) noexcept nogil:
    """Replace the totals of ``each`` columns by that of their group, at the front."""
    cdef dim g, k
    cdef double a, b, c, d
    for g in range(groups):
        a, b, c, d, k = 0, 0, 0, 0, 0
        while k + 4 <= each:                    # one sum would wait for each addition
            a += totals[g * each + k]
            b += totals[g * each + k + 1]
            c += totals[g * each + k + 2]
            d += totals[g * each + k + 3]
            k += 4
        while k < each:
            a += totals[g * each + k]
            k += 1
        totals[g] = (a + b) + (c + d)
