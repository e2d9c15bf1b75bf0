"""Activations, for other Cython modules; their formulas, of vectors, are in `activation_functions`.

The kinds are those of `activation_functions`: ``RELU``, ``SILU`` and so on. `activate_part` reads
the output y for kinds below LEAKY_RELU, CLIP and SCALED_ELU, the input x for others, and stays on
its thread. A kind of two parameters takes tables of both, one after the other, with period 1.
"""
from cnn_core.types cimport dim, real

cdef void activate_part(
    int kind,
    const real* x_or_y,         # in   (n,): of the values, or of a gradient
    const real* dy,             # in   (n,), or NULL: values are wanted
    real* out,                  # out  (n,)
    dim n,
    const real* parameter,      # in   (period + MAX_LANES,), repeated: of ELU and LEAKY_RELU
    dim first, dim period,      # x_or_y[0] takes parameter[first % period]; else 0 and 1
) noexcept nogil
