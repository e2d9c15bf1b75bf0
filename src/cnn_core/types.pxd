# cython: cdivision=True, language_level=3
"""The C types and shape checks every kernel shares. Define none anywhere else."""

ctypedef fused real:      # element of a tensor: all arguments of one call agree on it
    float
    double

ctypedef Py_ssize_t dim   # an extent, a step or an index


cdef inline bint same_shape(const dim* a, const dim* b, int ndim) noexcept nogil:
    """Return whether two shapes of ``ndim`` extents are equal."""
    cdef int k
    for k in range(ndim):
        if a[k] != b[k]:
            return False
    return True


cdef inline dim least(dim a, dim b) noexcept nogil:
    """Return the smaller of two extents."""
    return a if a < b else b


cdef inline dim blocks_of(dim n, dim size) noexcept nogil:
    """Return how many blocks of ``size`` cover ``n``."""
    return (n + size - 1) // size
