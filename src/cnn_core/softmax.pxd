"""Softmax and cross-entropy of one row of c classes, for other Cython modules."""
from cnn_core.types cimport dim, real

cdef void softmax_row(const real* x, real* y, dim c) noexcept nogil

cdef void softmax_gradient_row(const real* y, const real* dy, real* dx, dim c) noexcept nogil

cdef void log_softmax_row(const real* x, real* y, dim c) noexcept nogil

cdef void log_softmax_gradient_row(const real* y, const real* dy, real* dx, dim c) noexcept nogil

cdef double cross_entropy_row(      # returns the loss
    const real* x,                  # in   (c,), logits
    const real* target,             # in   (c,), weights of the classes, or NULL: there is a label
    dim label,
    real* p,                        # out  (c,), softmax of x
    dim c,
) noexcept nogil

cdef void cross_entropy_gradient_row(
    const real* p, const real* target, dim label, real scale, real* dx, dim c,
) noexcept nogil
