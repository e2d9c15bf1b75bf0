"""Sums over rows, for other Cython modules."""
from cnn_core.types cimport dim

cdef dim run_of_rows(dim rows) noexcept nogil
