"""The inner loops of a convolution of one channel to few filters, for `conv`."""
from cnn_core.types cimport dim, real

cdef bint planes_serve(dim c, dim co, dim k, dim sw, dim groups, dim itemsize) noexcept nogil

cdef dim planes_space(dim rows, dim width, dim co, dim itemsize) noexcept nogil

cdef void planes_multiply(
    dim rows, dim width, dim co, dim k, const real* x, const dim* row, const dim* step,
    const real* weight, real* y, const real* bias, bint relu,
) noexcept nogil

cdef void planes_sum(
    dim rows, dim width, dim co, dim k, const real* x, const dim* row, const dim* step,
    const real* dy, real* dw, bint add, double* dbias, real* space,
) noexcept nogil
