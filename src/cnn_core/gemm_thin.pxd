"""One row, or the last one to four columns, of a float32 product, for `gemm`."""
from cnn_core.types cimport dim

cdef dim gemm_thin_columns(dim m, dim n, dim k, dim itemsize) noexcept nogil

cdef dim gemm_thin_space(dim k) noexcept nogil

cdef void gemm_thin_pack(
    dim columns, dim k, const float* b, dim b_row, dim b_column, bint trans_a, float* packed,
) noexcept nogil

cdef void gemm_thin_multiply(
    dim m, dim columns, dim k, const float* a, dim a_row, dim a_column, const float* packed,
    float* c, dim ldc, const float* bias, const float* drelu, int flags,
) noexcept nogil

cdef dim gemm_thin_row_width() noexcept nogil

cdef void gemm_thin_row(
    dim n, dim k, const float* a, const float* b, dim b_row,
    float* c, const float* bias, const float* drelu, int flags,
) noexcept nogil
