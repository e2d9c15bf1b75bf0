"""How many threads a kernel may use, and its floating-point mode, for other Cython modules.

Each `def` of a kernel begins with ``cdef FloatMode _mode = flush_denormals()``. From there on, on
all of its threads, denormal numbers count as zero; when it returns or raises, the caller's mode is
put back. Nothing reads the variable again: the C compiler does that at the end of its scope.
"""

cdef extern from "threads.h" nogil:     # makes parallel regions of one thread cost nothing, too
    ctypedef unsigned long long FloatMode "FLOAT_MODE"
    unsigned long long flush_denormals()
    void flush_on_workers(int threads)

cdef int threads_for(double work) noexcept nogil
