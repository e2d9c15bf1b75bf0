"""The vector types of simd.h, as Cython sees them.

``vecf`` and ``vecd`` hold ``VBYTES`` bytes of float or double, and add and multiply like one.
A function fused over ``real`` and ``vec`` is one body for both precisions. Their width differs
between instruction-set levels: keep them out of the signatures in a public .pxd.
"""

cdef extern from "simd.h" nogil:
    ctypedef float vecf
    ctypedef double vecd
    ctypedef long double shortf         # 4 floats: Cython tells the types apart by what it is told
    enum:
        VBYTES                          # bytes of a vector
        TILE_ROWS                       # rows of a register tile
    void vload(...)                     # vload(v, pointer)
    void vprefetch(...)                 # vprefetch(pointer): it will be needed soon
    void vprefetch_l2(...)              # only into the second-level cache
    Py_ssize_t offset(const Py_ssize_t* table, Py_ssize_t i)    # table[i], read from memory
    void vstore(...)                    # vstore(pointer, v)
    void vfill(...)                     # vfill(v, number)
    void vzero(...)                     # vzero(v): v = 0, not kept in a register from before
    void vrelu(...)                     # vrelu(v, zero): v = 0 where v < 0
    void vgate(...)                     # vgate(v, w, zero): v = 0 unless w > 0
    void vload_some(...)                # vload_some(v, pointer, count)
    void vstore_some(...)               # vstore_some(pointer, v, count)
    void transpose(...)                 # transpose(to, step, from, step): 4 x 4 numbers
    void* line_malloc(size_t bytes)     # on a cache line, or NULL
    void line_free(void* memory)

ctypedef fused vec:
    vecf
    vecd

ctypedef fused anyvec:
    vecf
    vecd
    shortf
