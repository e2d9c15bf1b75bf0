from cnn_core.types cimport dim, real

cdef void add_all(
    const real* a, const real* b, const real* drelu, bint relu, real* y, dim n,
) noexcept nogil
