# cython: cdivision=True, language_level=3
"""Sums over the rows of a matrix: the rule for runs, and what other Cython modules share."""
from cnn_core.types cimport blocks_of, dim, least, real

cdef enum:
    SHORT_ROWS = 64         # rows added in the array's own precision: a short sum
    MAX_ROW_RUNS = 16       # runs that the rows of a matrix are cut into, at most
    MAX_LONG_RUNS = 64      # the same where each has LONG_RUN rows
    LONG_RUN = 25 * 64      # rows, a multiple of SHORT_ROWS
    RUN_SUMS_TASK = 1 << 12     # numbers whose partial sums, one from each run, one task adds


cdef inline dim run_of_rows(dim rows) noexcept nogil:
    """Return the length of a run: a multiple of SHORT_ROWS, from their number alone."""
    cdef dim run = max(1, blocks_of(rows, MAX_ROW_RUNS * SHORT_ROWS)) * SHORT_ROWS
    return max(least(run, LONG_RUN), blocks_of(rows, MAX_LONG_RUNS * SHORT_ROWS) * SHORT_ROWS)


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
