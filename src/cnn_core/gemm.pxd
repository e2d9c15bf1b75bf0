"""Matrix product, for other Cython modules: pack one operand, multiply rows by it."""
from cnn_core.types cimport dim, real

cdef enum:
    CHAIN = 64          # products summed in one accumulator, at most
    KC = 256            # length of a part of the sum, at most

cdef enum:              # flags of `multiply`, to be combined by |
    ADD = 1             # add to c instead of overwriting it
    RELU = 2            # in the end, turn negative results into 0

cdef dim part_length(dim k, dim most) noexcept nogil

cdef dim packed_width(dim n, int itemsize) noexcept nogil

cdef void count_by(dim step, dim n, dim* table) noexcept nogil

cdef void pack(
    dim k, dim n, const real* b, dim row_step, dim column_step, real* packed,
) noexcept nogil

cdef int product(
    dim m, dim n, dim k, const real* a, bint trans_a, const real* b, bint trans_b,
    real* c, const real* bias, const real* drelu, int flags,
) except -1

cdef void multiply(
    dim m, dim n, dim k, const real* a, const dim* row, const dim* step,
    const real* b, dim ldb, real* c, const dim* out,
    const real* bias, const real* drelu, int flags,
) noexcept nogil
