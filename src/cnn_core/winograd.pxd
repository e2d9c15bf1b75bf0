"""Winograd convolution, for other Cython modules."""
from cnn_core.types cimport dim

cdef int winograd_forward(
    const float* x, dim n, dim h, dim w, dim c, const float* weight, const float* bias,
    float* y, dim oh, dim ow, dim co, dim top, dim left,
) except -1 nogil

cdef int winograd_backward_weight(
    const float* x, dim n, dim h, dim w, dim c, const float* dy, dim oh, dim ow, dim co,
    float* dweight, dim top, dim left,
) except -1 nogil
