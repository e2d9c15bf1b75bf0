"""Normalisation inside one sample, for other Cython modules: rows of pixels of c channels.

`values` is pixels * c. Instead of the number of channels pass `group_norm_columns` as `c` then: one
pixel and one group, as in layer normalisation of c numbers, are read as rows of vectors.
"""
from cnn_core.types cimport dim, real

cdef dim group_norm_columns(dim pixels, dim c, dim groups, dim itemsize) noexcept nogil

cdef dim group_norm_workspace(dim c, dim itemsize) noexcept nogil               # bytes
cdef dim group_norm_gradient_workspace(dim c, dim itemsize) noexcept nogil

cdef void group_norm_rows(
    const real* x,                  # in   (rows, values), values = pixels * c
    dim rows, dim values, dim c, dim groups, double eps,
    const real* gamma, const real* beta,    # in   (c,) with a step of 0, (pixels, c) with one of c
    dim step,
    real* mean, real* inv_std,      # out  (rows, groups)
    real* y,                        # out  (rows, values)
    char* workspace,                # zeros, of `group_norm_workspace`
) noexcept nogil

cdef void group_norm_gradient_rows(
    const real* x, const real* dy,  # in   (rows, values)
    dim rows, dim values, dim c, dim groups,
    const real* gamma, dim step,
    const real* mean, const real* inv_std,
    real* dx,                       # out  (rows, values), or NULL
    real* dgamma, real* dbeta,      # out  of these rows, zeros before
    char* workspace,                # zeros, of `group_norm_gradient_workspace`
) noexcept nogil
