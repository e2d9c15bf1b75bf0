"""Memory that is used again, for other Cython modules: a workspace is a Block."""
from libc.stddef cimport size_t

cdef class Block:
    cdef void* memory
    cdef size_t size
    cdef Py_ssize_t length
