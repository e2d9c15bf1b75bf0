"""Sums over the rows of a matrix: the rule for runs, and what other Cython modules share."""
from cnn_core.types cimport dim, real

cdef enum:
    SHORT = 64          # rows added in the array's own precision
    MAX_RUNS = 16       # runs a matrix is cut into, at most


cdef inline dim run_of_rows(dim rows) noexcept nogil:
    """Return the length of a run: a multiple of SHORT."""
    return max(1, (rows + MAX_RUNS * SHORT - 1) // (MAX_RUNS * SHORT)) * SHORT


cdef inline void fold(real* sums, dim c, dim wide, double* totals) noexcept nogil:
    """Move short sums into the totals of c columns; a column owns every c-th of ``wide`` sums."""
    cdef dim start = 0, k
    while start < wide:
        for k in range(c):
            totals[k] += sums[start + k]
            sums[start + k] = 0
        start += c


cdef void sum_run(const real* x, dim rows, dim c, double* total) noexcept nogil

cdef int add_sums(const real* x, dim rows, dim c, real* total) except -1
