# cython: cdivision=True, language_level=3
"""Normal numbers from pairs of words (Box and Muller 1958), for `random`: vectors in double.

Numbers in single precision get the bits that the C library's logarithm, sine and cosine give,
rounded once. Both err by a few units in the last place of a double: only a number that lies within
DOUBT such units of the middle between two floats could be rounded otherwise, and is computed again
by the library.
"""
from cnn_core.simd cimport vbits, vecd, vecu, vfill, vfill_u, vfrom_bits, vsqrt, written
from cnn_core.vmath cimport horner, logarithm_of_1_plus

cdef extern from "vmath.h" nogil:
    const double* SINE_DOUBLE
    const double* COSINE_DOUBLE


cdef inline vecd whole(vecu n) noexcept nogil:
    """Return whole numbers below 2^52 as doubles."""
    cdef vecd v, a
    cdef vecu high
    vfill_u(high, <unsigned long long> 0x4330000000000000)      # 2^52
    vfrom_bits(v, n | high)
    vfrom_bits(a, high)
    return v - a


cdef inline vecd logarithm_of_fraction(vecu n) noexcept nogil:
    """Return log(n / 2^32) for n from 1 to 2^32.

    n = 2^e m with m between the square roots of 1/2 and 2, as in Sun's fdlibm: near n = 2^32, e is
    32 and no digits cancel.
    """
    cdef vecd m, e, a, log_m
    cdef vecu b, mask, root
    vbits(b, whole(n))
    vfill_u(root, <unsigned long long> 0x3fe6a09e00000000)      # about the root of 1/2
    vfill_u(mask, <unsigned long long> 0x3ff0000000000000)
    b = b + (mask - root)
    vfill_u(mask, <unsigned long long> 0x000fffffffffffff)
    vfrom_bits(m, (b & mask) + root)
    vfill(a, 1023 + 32)
    e = whole(b >> 52) - a
    vfill(a, 1)
    log_m = logarithm_of_1_plus(m - a)
    vfill(a, 1.90821492927058770002e-10)        # ln 2 in two parts, see vmath
    log_m = log_m + e * a
    vfill(a, 6.93147180369123816490e-01)
    return e * a + log_m


cdef inline void cosine_and_sine(vecd angle, vecu quarter, vecd* cosine, vecd* sine) noexcept nogil:
    """cos and sin of an angle from 0 to 2 pi; ``quarter``: of a turn, the nearest number of them.

    The multiple of pi / 2 is subtracted in three parts, of which the first two have 33 bits, so
    that the first differences are exact (Cody and Waite 1980).
    """
    cdef vecd n = whole(quarter), r = angle, a, z, one, half
    cdef vecu s, c, odd, bit, sign
    vfill(a, 1.57079632673412561417e+00)
    r = r - n * a
    vfill(a, 6.07710050630396597660e-11)
    r = r - n * a
    vfill(a, 2.02226624879595063154e-21)
    r = r - n * a
    z = r * r
    vfill(half, 0.5)
    vfill(one, 1)
    vbits(s, z * r * horner(z, SINE_DOUBLE, 6) + r)
    vbits(c, z * z * horner(z, COSINE_DOUBLE, 6) + (one - half * z))
    vfill_u(bit, 1)
    odd = (quarter & bit) - bit                 # all bits where the quarter is even
    vfill_u(sign, <unsigned long long> 2)
    vfrom_bits(cosine[0], ((c & odd) | (s & ~odd)) ^ (((quarter + bit) & sign) << 62))
    vfrom_bits(sine[0], ((s & odd) | (c & ~odd)) ^ ((quarter & sign) << 62))


cdef inline void box_muller(
    vecu first, vecu second,            # words, 32 bits in each lane
    vecd* a, vecd* b,                   # out
) noexcept nogil:
    """Two standard normal numbers from each pair of words."""
    cdef vecd radius, angle, factor
    cdef vecu bit, half
    vfill_u(bit, 1)
    vfill(factor, -2)
    vsqrt(radius, factor * logarithm_of_fraction(first + bit))
    vfill(factor, 6.283185307179586 * 2.0 ** -32)
    angle = whole(second) * factor
    written(&angle)                     # the cosine of the rounded angle, as the library has it
    vfill_u(half, 1 << 29)
    cosine_and_sine(angle, (second + half) >> 30, a, b)
    a[0] = radius * a[0]
    b[0] = radius * b[0]
