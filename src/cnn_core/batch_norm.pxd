"""Batch normalisation of rows with given statistics, for other Cython modules.

``columns`` holds rows of `batch_norm_width` numbers: what belongs to a column of x, repeated by
`batch_norm_columns`.
"""
from cnn_core.types cimport dim, real

cdef dim batch_norm_width(dim c, dim itemsize) noexcept nogil

cdef void batch_norm_columns(const real* values, dim c, real* out, dim wide) noexcept nogil

cdef void batch_norm_run(
    const real* x,                  # in   (values,), rows of c columns one after the other
    const real* residual,           # in   (values,), added, or NULL
    real* y,                        # out  (values,)
    dim values,
    const real* columns,            # in   (3, wide): mean, scale, beta
    dim wide, bint relu,
) noexcept nogil

cdef void batch_norm_gradient_run(
    const real* x, const real* dy, real* dx, dim values,
    const real* columns,            # in   (4, wide): mean, mean of dy, slope, scale
    dim wide, bint drelu,           # dx = 0 where x <= 0 or NaN
) noexcept nogil
