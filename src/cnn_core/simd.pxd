# cython: cdivision=True, language_level=3
"""The vector types of simd.h, as Cython sees them.

``vecf`` and ``vecd`` hold ``VBYTES`` bytes of float or double, and add and multiply like one.
A function fused over ``real`` and ``vec`` is one body for both precisions. Their width differs
between instruction-set levels: keep them out of the signatures in a public .pxd.
"""

cdef extern from "inline.h":            # `cdef inline` functions are always inlined
    pass

cdef extern from "simd.h" nogil:
    ctypedef float vecf
    ctypedef double vecd
    ctypedef long double shortf         # 4 floats: distinct declarations make distinct types
    ctypedef struct shortd:             # 2 doubles; likewise, as structs
        pass
    ctypedef struct onef:               # 1 float
        pass
    ctypedef struct oned:               # 1 double
        pass
    ctypedef unsigned long long vecu    # VBYTES of 64-bit whole numbers; shift and combine like one
    enum:
        VBYTES                          # bytes of a vector
    void vload(...)                     # vload(v, pointer)
    void vstore(...)                    # vstore(pointer, v)
    void vload_tail(...)                # vload_tail(v, pointer, n): the first n elements, or all
    void vstore_tail(...)               # vstore_tail(pointer, v, n)
    void vload_first(...)               # vload_first(v, pointer, n): n is at most the length of v
    void vstore_first(...)              # vstore_first(pointer, v, n)
    void vprefetch(...)                 # vprefetch(pointer): it will be needed soon
    void vprefetch_l2(...)              # only into the second-level cache
    Py_ssize_t offset(const Py_ssize_t* table, Py_ssize_t i)    # table[i], read from memory
    void vfill(...)                     # vfill(v, number)
    void vzero(...)                     # vzero(v): v = 0, not kept in a register from before
    void vadd(...)                      # vadd(v, a, b): for types that Cython does not know to add
    void vmultiply(...)                 # vmultiply(v, a, b)
    void vsqrt(...)                     # vsqrt(v, a)
    void vrelu(...)                     # vrelu(v, zero): v = 0 where v < 0
    void vdrelu(...)                    # vdrelu(v, w, zero): v = 0 unless w > 0
    void vgreater(...)                  # vgreater(mask, a, b): a > b
    void vat_least(...)                 # vat_least(mask, a, b): a >= b
    void vunordered(...)                # vunordered(mask, a): a is NaN
    void vselect(...)                   # vselect(v, mask, a, b): a where mask, else b
    void vfill_bits(...)                # vfill_bits(v, whole number)
    void vequal_bits(...)               # vequal_bits(mask, a, b)
    void vand_bits(...)                 # vand_bits(v, a, b): bit by bit
    void vor_bits(...)                  # vor_bits(v, a, b)
    void vfill_u(...)                   # vfill_u(v, whole number)
    void vmultiply_low(...)             # vmultiply_low(v, a, b): product of the lower 32 bits
    void vjoin_low(...)                 # vjoin_low(v, a, b): lower 32 bits of a, then those of b
    void vbits(...)                     # vbits(n, v): the bits of doubles as whole numbers
    void vfrom_bits(...)                # vfrom_bits(v, n): and back
    void written(...)                   # written(pointer): products in memory stay rounded
    void as_written()                   # in a loop: the compiler leaves it as it stands
    void transpose_4x4(...)             # transpose_4x4(to, step, from, step): 4 x 4 numbers

cdef enum:
    MAX_LANES = 16                      # elements of a vector, at most
    SHORT_LANES = 4                     # floats of a shortf

ctypedef fused vec:
    vecf
    vecd

ctypedef fused anyvec:
    vecf
    vecd
    shortf

ctypedef fused vector:                  # of any width
    vecf
    shortf
    onef
    vecd
    shortd
    oned


cdef inline Py_ssize_t lanes(Py_ssize_t itemsize) noexcept nogil:
    """Return how many elements of ``itemsize`` bytes a vector holds."""
    return VBYTES // itemsize
