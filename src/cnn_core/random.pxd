"""Philox4x32-10, for other Cython modules."""
from libc.stdint cimport uint32_t, uint64_t

cdef void philox_block(
    uint64_t seed, uint64_t index, uint32_t stream, uint32_t call, uint32_t* words,
) noexcept nogil
