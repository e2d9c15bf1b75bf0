"""The inner loops of a depthwise convolution, for `conv_indirect`."""
from cnn_core.types cimport dim, real

cdef void depthwise_multiply(
    dim m, dim c, dim k, const real* a, const dim* row, const dim* step, const real* weight,
    real* y, const dim* out, const real* bias, const real* drelu, bint relu,
) noexcept nogil

cdef void depthwise_sum(
    dim m, dim c, dim k, const real* a, const dim* row, const dim* step, const real* dy,
    real* dw, bint add,
) noexcept nogil
