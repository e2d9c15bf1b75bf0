# cython: cdivision=True, language_level=3
"""The transforms of Winograd's algorithm F(4, 3) along one axis, for `conv_winograd`.

Multiplications by the matrices A, B and G of docs/maths/conv.md, which evaluate polynomials at 0,
1, -1, 2, -2 and infinity. A vector holds channels.
"""
from cnn_core.simd cimport vecf


cdef inline void input_1d(
    vecf d0, vecf d1, vecf d2, vecf d3, vecf d4, vecf d5, vecf* o,
) noexcept nogil:
    """o = B^T d."""
    cdef vecf a = d4 - 4 * d2, b = d3 - 4 * d1, e = d4 - d2, f = 2 * (d3 - d1)
    o[0] = 4 * d0 - 5 * d2 + d4
    o[1] = a + b
    o[2] = a - b
    o[3] = e + f
    o[4] = e - f
    o[5] = 4 * d1 - 5 * d3 + d5


cdef inline void output_1d(
    vecf m0, vecf m1, vecf m2, vecf m3, vecf m4, vecf m5, vecf* o,
) noexcept nogil:
    """o = A^T m."""
    cdef vecf s = m1 + m2, d = m1 - m2, t = m3 + m4, e = m3 - m4
    o[0] = m0 + s + t
    o[1] = d + 2 * e
    o[2] = s + 4 * t
    o[3] = d + 8 * e + m5


cdef inline void gradient_1d(vecf y0, vecf y1, vecf y2, vecf y3, vecf* o) noexcept nogil:
    """o = A y."""
    cdef vecf even = y0 + y2, odd = y1 + y3, e = y0 + 4 * y2, f = 2 * y1 + 8 * y3
    o[0] = y0
    o[1] = even + odd
    o[2] = even - odd
    o[3] = e + f
    o[4] = e - f
    o[5] = y3


cdef inline void weight_1d(vecf g0, vecf g1, vecf g2, vecf* o) noexcept nogil:
    """o = G g."""
    cdef vecf a = (g0 + g2) * <float> (-1. / 6), b = g1 * <float> (1. / 6)
    cdef vecf e = g0 * <float> (1. / 24) + g2 * <float> (1. / 6), f = g1 * <float> (1. / 12)
    o[0] = g0 * <float> 0.25
    o[1] = a - b
    o[2] = a + b
    o[3] = e + f
    o[4] = e - f
    o[5] = g2


cdef inline void weight_gradient_1d(
    vecf u0, vecf u1, vecf u2, vecf u3, vecf u4, vecf u5, vecf* o,
) noexcept nogil:
    """o = G^T u."""
    cdef vecf s = (u1 + u2) * <float> (1. / 6), t = u3 + u4
    o[0] = u0 * <float> 0.25 - s + t * <float> (1. / 24)
    o[1] = (u2 - u1) * <float> (1. / 6) + (u3 - u4) * <float> (1. / 12)
    o[2] = t * <float> (1. / 6) - s + u5
