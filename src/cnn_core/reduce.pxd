"""Sums over the rows of a matrix: the rule for runs, and what other Cython modules share."""
from cnn_core.types cimport dim, real

cdef enum:
    SHORT = 64          # rows added in the array's own precision
    MAX_RUNS = 16       # runs a matrix is cut into, at most


cdef inline dim run_of_rows(dim rows) noexcept nogil:
    """Return the length of a run: a multiple of SHORT."""
    return max(1, (rows + MAX_RUNS * SHORT - 1) // (MAX_RUNS * SHORT)) * SHORT


cdef inline void fold(real* sums, double* totals, dim n) noexcept nogil:
    """Move n short sums into their totals."""
    cdef dim k
    for k in range(n):
        totals[k] += sums[k]
        sums[k] = 0


cdef inline void fold_wide(real* sums, dim wide, double* totals, dim c) noexcept nogil:
    """Move the short sums of a wide row into the totals of its c columns: each owns every c-th."""
    cdef dim start = 0
    while start < wide:
        fold(sums + start, totals, c)
        start += c


cdef void sum_run(const real* x, dim rows, dim c, double* total) noexcept nogil

cdef int add_sums(const real* x, dim rows, dim c, real* total) except -1
