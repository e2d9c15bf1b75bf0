"""The operations of vmath.h, as Cython sees them, and the exponential built on them."""
from cnn_core.simd cimport shortf, vec, vecd, vecf, vfill

cdef extern from "vmath.h" nogil:
    ctypedef struct shortd:             # 2 doubles; as structs, Cython tells these types apart
        pass
    ctypedef struct onef:               # 1 float
        pass
    ctypedef struct oned:
        pass
    ctypedef unsigned long long vecu    # VBYTES of 64-bit whole numbers; shift and combine like one
    void vfill_u(...)                   # vfill_u(v, whole number)
    void vmultiply_low(...)             # vmultiply_low(v, a, b): product of the lower 32 bits
    void vjoin_low(...)                 # vjoin_low(v, a, b): lower 32 bits of a, then those of b
    void vadd(...)                      # vadd(v, a, b): for types that Cython does not know to add
    void vmultiply(...)                 # vmultiply(v, a, b)
    void vgreater(...)                  # vgreater(mask, a, b): a > b
    void vunordered(...)                # vunordered(mask, a): a is NaN
    void vselect(...)                   # vselect(v, mask, a, b): a where mask, else b
    void vfill_bits(...)                # vfill_bits(v, whole number)
    void vequal_bits(...)               # vequal_bits(mask, a, b)
    void vand_bits(...)                      # vand_bits(v, a, b): bit by bit
    void vor_bits(...)                       # vor_bits(v, a, b)
    void vsqrt(...)                     # vsqrt(v, a)
    void vload_part(...)                # vload_part(v, pointer, n): the first n lanes, or all
    void vstore_part(...)               # vstore_part(pointer, v, n)
    void vround(...)                    # vround(v, a): a as whole numbers, abs(a) < 2^22
    void vpower_of_2(...)               # vpower_of_2(v, n): 2^n for whole n, if that is normal
    const float* EXP_FLOAT
    const double* EXP_DOUBLE

ctypedef fused vector:                  # of any width
    vecf
    shortf
    onef
    vecd
    shortd
    oned


cdef inline void split_exponential(vec x, vec* n, vec* p) noexcept nogil:
    """exp(x) = 2^n (1 + p), n whole, and p as exact for small x as x itself.

    Reduction after Cody and Waite ("Software Manual for the Elementary Functions", 1980): ln 2 is
    subtracted n times in two parts, the first of so few bits that its product with n is exact.
    """
    cdef vec a, r
    cdef int i
    vfill(a, 1.4426950408889634)        # 1 / ln 2
    vround(n[0], x * a)
    if vec is vecf:
        vfill(a, 0.693359375)
        r = x - n[0] * a
        vfill(a, -2.12194440e-4)
        r = r - n[0] * a
        vfill(p[0], EXP_FLOAT[5])
        for i in range(4, -1, -1):
            vfill(a, EXP_FLOAT[i])
            p[0] = p[0] * r + a
    else:
        vfill(a, 6.93147180369123816490e-01)
        r = x - n[0] * a
        vfill(a, 1.90821492927058770002e-10)
        r = r - n[0] * a
        vfill(p[0], EXP_DOUBLE[10])
        for i in range(9, -1, -1):
            vfill(a, EXP_DOUBLE[i])
            p[0] = p[0] * r + a
    p[0] = p[0] * (r * r) + r


cdef inline vec exponential(vec x) noexcept nogil:
    """Return exp(x), less than one unit in the last place from it (measured: 0.98)."""
    cdef vec n, p, half, low, high, mask
    if vec is vecf:
        vfill(low, -104)                # exp is 0 here
        vfill(high, 89)                 # and infinite here
    else:
        vfill(low, -746)
        vfill(high, 710)
    vgreater(mask, x, high)             # false for NaN, which stays
    vselect(x, mask, high, x)
    vgreater(mask, low, x)
    vselect(x, mask, low, x)
    split_exponential(x, &n, &p)
    vfill(half, 0.5)
    vround(half, n * half)              # 2^n in two steps: it may be beyond the exponents
    n = n - half
    vpower_of_2(half, half)
    vpower_of_2(n, n)
    return (p * half + half) * n
