"""Sums over rows, for other Cython modules."""
from cnn_core.types cimport dim, real

cdef dim run_of_rows(dim rows) noexcept nogil

cdef void sum_run(const real* x, dim rows, dim c, double* total) noexcept nogil
