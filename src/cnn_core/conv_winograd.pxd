"""Winograd convolution in float32, for `conv`."""
from cnn_core.types cimport dim

cdef dim winograd_length(dim c, dim co) noexcept nogil

cdef int winograd_weights(const float* weight, dim c, dim co, float* u) except -1

cdef int winograd_forward(
    const float* x, dim n, dim h, dim w, dim c, const float* weight, bint adjoint,
    const float* transformed, const float* bias, const float* residual, const float* drelu, bint relu,
    float* y, dim oh, dim ow, dim co, dim top, dim left,
) except -1

cdef int winograd_backward_weight(
    const float* x, dim n, dim h, dim w, dim c, const float* dy, dim oh, dim ow, dim co,
    float* dweight, float* dbias, dim top, dim left,
) except -1
