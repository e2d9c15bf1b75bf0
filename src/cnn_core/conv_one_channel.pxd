"""The inner loops of a convolution of one channel to few filters, for `conv_indirect`."""
from cnn_core.types cimport dim, real

cdef enum:
    MAX_FILTERS = 8         # that `one_channel_multiply` and `one_channel_sum` take

cdef dim one_channel_space(dim rows, dim width, dim co, dim itemsize) noexcept nogil

cdef void one_channel_multiply(
    dim rows, dim width, dim co, dim k, const real* x, const dim* row, const dim* step,
    const real* weight, real* y, const real* bias, bint relu,
) noexcept nogil

cdef void one_channel_sum(
    dim rows, dim width, dim co, dim k, const real* x, const dim* row, const dim* step,
    const real* dy, real* dw, bint add, double* dbias, real* space,
) noexcept nogil
