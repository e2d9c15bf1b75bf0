"""Memory that is used again, for other Cython modules: a workspace is a Buffer."""
from libc.stddef cimport size_t

cdef class Buffer:
    cdef void* memory
    cdef size_t size
    cdef Py_ssize_t length
