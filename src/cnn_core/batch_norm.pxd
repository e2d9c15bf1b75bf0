"""Batch normalisation of rows with given statistics, for other Cython modules.

``columns`` holds rows of `wide` numbers: what belongs to a column of x, repeated by
`batch_norm_sums.repeat` to a multiple of vectors, `batch_norm_sums.wide_row`.
"""
from cnn_core.types cimport dim, real

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
