"""The vector types of simd.h, as Cython sees them.

``vecf`` and ``vecd`` hold ``VBYTES`` bytes of float or double, and add and multiply like one.
A function fused over ``real`` and ``vec`` is one body for both precisions. Their width differs
between instruction-set levels: keep them out of the signatures in a public .pxd.
"""

cdef extern from "simd.h" nogil:
    ctypedef float vecf
    ctypedef double vecd
    enum:
        VBYTES                          # bytes of a vector
        TILE_ROWS                       # rows of a register tile
    void vload(...)                     # vload(v, pointer)
    void vstore(...)                    # vstore(pointer, v)
    void vfill(...)                     # vfill(v, number)
    void* line_malloc(size_t bytes)     # on a cache line, or NULL
    void line_free(void* memory)

ctypedef fused vec:
    vecf
    vecd
