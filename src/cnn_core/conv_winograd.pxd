"""Winograd convolution in float32, for `conv`."""
from cnn_core.simd cimport lanes
from cnn_core.types cimport blocks_of, dim

cdef enum:
    ENTRIES = 36                # of a transformed tile


cdef inline dim padded(dim channels) noexcept nogil:
    """Return the channels as whole vectors."""
    return blocks_of(channels, lanes(4)) * lanes(4)


cdef inline dim winograd_length(dim c, dim co) noexcept nogil:
    """Return the number of floats of transformed weights: 36 matrices (c, padded(co))."""
    return ENTRIES * c * padded(co)


cdef inline double floats_of(dim c, dim co) noexcept nogil:
    """Return `winograd_length`, also where that is more than any memory."""
    return <double> ENTRIES * c * padded(co)


cdef void transform_weights(
    const float* weight, dim i, dim c, dim co, float* u,
) noexcept nogil

cdef int winograd_forward(
    const float* x, dim n, dim h, dim w, dim c, const float* weight, bint adjoint,
    const float* transformed, const float* bias, const float* residual, const float* drelu,
    bint relu, float* y, dim oh, dim ow, dim co, dim top, dim left,
) except -1

cdef int winograd_backward_weight(
    const float* x, dim n, dim h, dim w, dim c, const float* dy, dim oh, dim ow, dim co,
    float* dweight, float* dbias, dim top, dim left,
) except -1
