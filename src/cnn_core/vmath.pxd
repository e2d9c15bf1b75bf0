# cython: cdivision=True, language_level=3
"""Functions of vectors: bounds, sign, root, exponential, logarithm, normal distribution.

Errors are in units in the last place of the result, the largest measured.
"""
from cnn_core.simd cimport vec, vecf, vfill, vgreater, vor_bits, vselect, vsqrt
from cnn_core.types cimport real

cdef extern from "vmath.h" nogil:
    void vhigh_half(...)                # vhigh_half(v, a): a, the lower half of its digits 0
    void vround(...)                    # vround(v, a): a as whole numbers, abs(a) < 2^22
    void vpower_of_2(...)               # vpower_of_2(v, n): 2^n for whole n, if that is normal
    void vscale(...)                    # vscale(v, a, n): a 2^n for whole n
    const float* EXP_FLOAT
    const double* EXP_DOUBLE
    const float* LOG_FLOAT
    const double* LOG_DOUBLE
    const float* NORMAL_OVER_FLOAT
    const float* NORMAL_UNDER_FLOAT
    const double* NORMAL_OVER_DOUBLE
    const double* NORMAL_UNDER_DOUBLE


cdef inline vec absolute(vec x) noexcept nogil:
    """Return abs(x)."""
    cdef vec sign
    vfill(sign, -0.0)
    vor_bits(x, x, sign)
    return -x


cdef inline vec at_least(vec x, double low) noexcept nogil:
    """Return max(x, low); NaN stays NaN."""
    cdef vec end, mask
    vfill(end, low)
    vgreater(mask, end, x)
    vselect(x, mask, end, x)
    return x


cdef inline vec at_most(vec x, double high) noexcept nogil:
    """Return min(x, high); NaN stays NaN."""
    cdef vec end, mask
    vfill(end, high)
    vgreater(mask, x, end)
    vselect(x, mask, end, x)
    return x


cdef inline vec root(vec x) noexcept nogil:
    """Return the square root."""
    vsqrt(x, x)
    return x


cdef inline vec greater_of(vec a, vec b) noexcept nogil:
    """Return the greater, and NaN if b is NaN."""
    cdef vec mask
    vgreater(mask, a, b)
    vselect(a, mask, a, b)
    return a


cdef inline vec sign_of(vec x) noexcept nogil:
    """Return 1, -1, or x itself where it is zero or NaN."""
    cdef vec mask, zero, one, sign
    vfill(zero, 0)
    vfill(one, 1)
    vgreater(mask, x, zero)
    vselect(sign, mask, one, x)
    vgreater(mask, zero, x)
    vselect(sign, mask, -one, sign)
    return sign


cdef inline vec horner(
    vec x, const real* table,
    int n,                              # a literal: the loop unrolls
) noexcept nogil:
    """Return table[0] + table[1] x + ... + table[n - 1] x^(n - 1)."""
    cdef vec p, a
    cdef int i
    vfill(p, table[n - 1])
    for i in range(n - 2, -1, -1):
        vfill(a, table[i])
        p = p * x + a
    return p


cdef inline void split_exponential(vec x, vec rest, vec* n, vec* p) noexcept nogil:
    """exp(x - rest) = 2^n (1 + p), n whole, and p as exact for small x as x itself.

    Reduction after Cody and Waite ("Software Manual for the Elementary Functions", 1980): ln 2 is
    subtracted n times in two parts, the first of so few bits that its product with n is exact.
    """
    cdef vec a, r
    vfill(a, 1.4426950408889634)        # 1 / ln 2
    vround(n[0], (x - rest) * a)
    if vec is vecf:
        vfill(a, 0.693359375)
        r = x - n[0] * a
        vfill(a, -2.12194440e-4)
        r = r - n[0] * a - rest
        p[0] = horner(r, EXP_FLOAT, 6)
    else:
        vfill(a, 6.93147180369123816490e-01)
        r = x - n[0] * a
        vfill(a, 1.90821492927058770002e-10)
        r = r - n[0] * a - rest
        p[0] = horner(r, EXP_DOUBLE, 11)
    p[0] = p[0] * (r * r) + r


cdef inline vec exponential_of_difference(vec x, vec rest) noexcept nogil:
    """Return exp(x - rest) for x from -170 to 88, in double from -1400 to 709.

    The rest is small: the last digits of a number that x has no room for.
    """
    cdef vec n, p, one
    vfill(one, 1)
    split_exponential(x, rest, &n, &p)
    vscale(p, p + one, n)
    return p


cdef inline vec exponential(vec x) noexcept nogil:
    """Return exp(x) for x up to 88, in double to 709; errs by less than one unit (0.98)."""
    cdef vec zero
    vfill(zero, 0)
    return exponential_of_difference(at_least(x, -110 if vec is vecf else -760), zero)


cdef inline vec exponential_less_1(vec x) noexcept nogil:
    """Return exp(x) - 1 for x <= 0; small x lose no digits."""
    cdef vec n, p, zero, one
    vfill(zero, 0)
    vfill(one, 1)
    split_exponential(at_least(x, -40), zero, &n, &p)   # the result is -1 there
    vpower_of_2(n, n)
    return p * n + (n - one)


cdef inline vec logarithm_of_1_plus(vec z) noexcept nogil:
    """Return log(1 + z) for 0 <= z <= 1; small z lose no digits (measured with exp: 2.4)."""
    cdef vec t, u, p, a
    vfill(a, 2)
    t = (z + z) / (a + z)
    u = t * t
    if vec is vecf:
        p = horner(u, LOG_FLOAT, 5)
    else:
        p = horner(u, LOG_DOUBLE, 10)
    return t * (u * p) + t


cdef inline void normal(vec a, vec* e, vec* q) noexcept nogil:
    """e = exp(-a^2 / 2), q = erfc(a / sqrt 2) / 2, for 0 <= a <= 14.5, in double to 39.

    q is the part of a standard normal distribution above a. The rounding of a^2 would make its
    relative error grow with a^2: the exponential takes a^2 in two parts, the first of them exact.
    """
    cdef vec high, half, over, under
    vfill(half, 0.5)
    vhigh_half(high, a)
    e[0] = exponential_of_difference(-(high * high) * half, (a - high) * (a + high) * half)
    if vec is vecf:
        over = horner(a, NORMAL_OVER_FLOAT, 5)
        under = horner(a, NORMAL_UNDER_FLOAT, 6)
    else:
        over = horner(a, NORMAL_OVER_DOUBLE, 11)
        under = horner(a, NORMAL_UNDER_DOUBLE, 12)
    q[0] = e[0] * (over / under)
