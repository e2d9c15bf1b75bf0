"""Philox4x32-10, for other Cython modules."""
from libc.stdint cimport uint32_t, uint64_t

cdef enum:
    BLOCKS = 16         # of 4 words each, that philox_blocks writes

cdef void philox_block(
    uint64_t seed, uint64_t index, uint32_t stream, uint32_t call, uint32_t* words,
) noexcept nogil
cdef void philox_blocks(
    uint64_t seed, uint64_t index, uint32_t stream, uint32_t call, uint32_t* words,
) noexcept nogil
