"""How many threads a kernel may use, for other Cython modules."""

cdef int threads_for(double work) noexcept nogil
