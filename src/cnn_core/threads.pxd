"""How many threads a kernel may use, for other Cython modules."""

cdef extern from "threads.h":       # makes parallel regions of one thread cost nothing
    pass

cdef int threads_for(double work) noexcept nogil
