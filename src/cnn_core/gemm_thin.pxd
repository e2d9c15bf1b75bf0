"""One row, or the last one to four columns, of a float32 product, for `gemm`."""
from cnn_core.types cimport dim

cdef dim narrow_columns(dim m, dim n, dim k, dim itemsize) noexcept nogil

cdef dim narrow_space(dim k) noexcept nogil

cdef void narrow_pack(
    dim columns, dim k, const float* b, dim b_row, dim b_column, bint transposed, float* packed,
) noexcept nogil

cdef void narrow_multiply(
    dim m, dim columns, dim k, const float* a, dim a_row, dim a_column, const float* packed,
    float* c, dim ldc, const float* bias, const float* gate, int how,
) noexcept nogil

cdef dim row_width() noexcept nogil

cdef void row_multiply(
    dim n, dim k, const float* a, const float* b, dim b_row,
    float* c, const float* bias, const float* gate, int how,
) noexcept nogil
