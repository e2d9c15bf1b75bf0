"""Matrix product, for other Cython modules: pack one operand, multiply rows by it."""
from cnn_core.types cimport dim, real

cdef enum:
    CHAIN = 128         # products summed in one accumulator before it is added to the result

cdef dim chain_length(dim k) noexcept nogil

cdef dim packed_size(dim k, dim n, int itemsize) noexcept nogil

cdef void pack(
    dim k, dim n, const real* b, dim row_step, dim column_step, real* packed,
) noexcept nogil

cdef void multiply(
    dim m, dim n, dim k, const real* a, dim row_step, dim column_step, const real* packed,
    real* c, dim ldc, const real* bias, bint accumulate,
) noexcept nogil
