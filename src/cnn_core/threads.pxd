"""How many threads a kernel may use, and its floating-point mode, for other Cython modules.

Each `def` of a kernel begins with ``cdef FloatMode _mode = flush_denormals()``. From there on, on
all of its threads, denormal numbers count as zero; when it returns or raises, the caller's mode is
put back. Nothing reads the variable again: the C compiler does that at the end of its scope.

Kernels of other packages use several threads by `parallel`, not by `prange`: there is one pool of
threads in a process then, and no other package links OpenMP.

    cdef struct Doubled:
        const float* x
        float* y

    cdef void double_part(void* context, Py_ssize_t start, Py_ssize_t stop) noexcept nogil:
        cdef Doubled* of = <Doubled*> context
        cdef Py_ssize_t i
        for i in range(start, stop):
            of.y[i] = 2 * of.x[i]

    parallel(double_part, &doubled, n, n / 4)

What is computed for an index must not depend on the part that it is in: the number of threads
decides where parts end. A sum over all is one of blocks, whose number follows from shapes alone:
let `n` be the number of blocks, and add what they give in order.
"""

cdef extern from "cnn_core_threads.h" nogil:    # regions of one thread cost nothing, too
    ctypedef unsigned long long FloatMode "FLOAT_MODE"
    unsigned long long flush_denormals()
    void flush_on_workers(int threads)

cdef int threads_for(double work) noexcept nogil

ctypedef void (*Body)(void* context, Py_ssize_t start, Py_ssize_t stop) noexcept nogil

cdef void parallel(Body body, void* context, Py_ssize_t n, double work) noexcept nogil
