"""Activations: functions of one number and their gradients (`activation_functions`), over arrays.

All arrays are flat and of one length. Some derivatives follow from the output y, which the next
layer keeps anyway; the others need the input x: `takes_input` names those. Threads share out
tasks. Every number goes through the same instructions, those of the last, partial vector too: a
result does not depend on where in the array it stands.

Two kinds have a parameter, a slope or a scale below 0. It is an array, repeated along x: one number
for all, or one per channel, the last axis in memory. Two kinds have two parameters, numbers for
all: limits, or scales above and below 0.

A new activation is two functions of vectors, a kind and two lines of `element` in
`activation_functions`, and a name and two lines of `loop_of` here.
"""
from cython.parallel cimport prange

from cnn_core.activation_functions cimport CLIP, ELU, GELU, GELU_TANH, HARD_SWISH
from cnn_core.activation_functions cimport LEAKY_RELU, RELU, SCALED_ELU, SELU, SIGMOID, SILU, SLOPE
from cnn_core.activation_functions cimport SOFTPLUS, TANH, element, element_of_two
from cnn_core.memory cimport Buffer
from cnn_core.simd cimport MAX_LANES, lanes, vec, vecd, vecf, vfill, vload, vload_tail, vstore
from cnn_core.simd cimport vstore_tail
from cnn_core.threads cimport FloatMode, flush_denormals, threads_for
from cnn_core.types cimport blocks_of, dim, least, real

cdef enum:
    ACTIVATION_TASK = 8192      # entries that a thread takes at a time
    SECOND = 1 + MAX_LANES      # where the table of a second parameter begins

relu, sigmoid, tanh, elu, selu, softplus = RELU, SIGMOID, TANH, ELU, SELU, SOFTPLUS
leaky_relu, hard_swish, silu, gelu, gelu_tanh = LEAKY_RELU, HARD_SWISH, SILU, GELU, GELU_TANH
slope, clip, scaled_elu = SLOPE, CLIP, SCALED_ELU
takes_input = frozenset(range(LEAKY_RELU, SLOPE + 1))


cdef inline void loop(
    int kind,                                   # a literal at every call: each kind has its loops
    const real* x_or_y, const real* dy, real* out, dim n,   # n a multiple of a vector
    const real* parameter, dim at, dim period,  # for x_or_y[0], parameter[at]
    vec* tag,                                   # NULL: only names the vector type
) noexcept nogil:
    """Write values to ``out``, or gradients if there is a ``dy``."""
    cdef dim size = lanes(sizeof(real)), i = 0, step = size % period
    cdef vec v, g, p, q
    vfill(p, 0)
    vfill(q, 0)
    if kind == CLIP or kind == SCALED_ELU:
        vload(p, parameter)
        vload(q, parameter + SECOND)
    while i < n:
        vload(v, x_or_y + i)
        if kind == ELU or kind == LEAKY_RELU:
            vload(p, parameter + at)
            at += step
            at = at - period if at >= period else at
        if dy == NULL and (kind == CLIP or kind == SCALED_ELU):
            v = element_of_two(kind, False, v, v, p, q)
        elif dy == NULL:
            v = element(kind, False, v, v, p)
        elif kind == CLIP or kind == SCALED_ELU:
            vload(g, dy + i)
            v = element_of_two(kind, True, v, g, p, q)
        else:
            vload(g, dy + i)
            v = element(kind, True, v, g, p)
        vstore(out + i, v)
        i += size


cdef void loop_of(
    int kind, const real* x_or_y, const real* dy, real* out, dim n,
    const real* parameter, dim at, dim period, vec* tag,
) noexcept nogil:
    """Run the loop of a kind: here alone its number becomes a literal."""
    if kind == RELU:
        loop(RELU, x_or_y, dy, out, n, parameter, at, period, tag)
    elif kind == SIGMOID:
        loop(SIGMOID, x_or_y, dy, out, n, parameter, at, period, tag)
    elif kind == TANH:
        loop(TANH, x_or_y, dy, out, n, parameter, at, period, tag)
    elif kind == ELU:
        loop(ELU, x_or_y, dy, out, n, parameter, at, period, tag)
    elif kind == SELU:
        loop(SELU, x_or_y, dy, out, n, parameter, at, period, tag)
    elif kind == SOFTPLUS:
        loop(SOFTPLUS, x_or_y, dy, out, n, parameter, at, period, tag)
    elif kind == LEAKY_RELU:
        loop(LEAKY_RELU, x_or_y, dy, out, n, parameter, at, period, tag)
    elif kind == HARD_SWISH:
        loop(HARD_SWISH, x_or_y, dy, out, n, parameter, at, period, tag)
    elif kind == SILU:
        loop(SILU, x_or_y, dy, out, n, parameter, at, period, tag)
    elif kind == GELU:
        loop(GELU, x_or_y, dy, out, n, parameter, at, period, tag)
    elif kind == GELU_TANH:
        loop(GELU_TANH, x_or_y, dy, out, n, parameter, at, period, tag)
    elif kind == CLIP:
        loop(CLIP, x_or_y, dy, out, n, parameter, at, period, tag)
    elif kind == SCALED_ELU:
        loop(SCALED_ELU, x_or_y, dy, out, n, parameter, at, period, tag)
    else:
        loop(SLOPE, x_or_y, dy, out, n, parameter, at, period, tag)


cdef void task(
    int kind, const real* x_or_y, const real* dy, real* out, dim n,     # from number `first` on
    const real* parameter, dim first, dim period, vec* tag,
) noexcept nogil:
    """Run over whole vectors, and over the rest in a vector of its own."""
    cdef dim size = lanes(sizeof(real)), whole = n - n % size
    cdef real last[MAX_LANES]
    cdef real last_dy[MAX_LANES]
    cdef vec v
    loop_of(kind, x_or_y, dy, out, whole, parameter, first % period, period, tag)
    if whole == n:
        return
    vload_tail(v, x_or_y + whole, n - whole)
    vstore(last, v)
    if dy != NULL:
        vload_tail(v, dy + whole, n - whole)
        vstore(last_dy, v)
    loop_of(kind, last, last_dy if dy != NULL else NULL, last, size,
            parameter, (first + whole) % period, period, tag)
    vload(v, last)
    vstore_tail(out + whole, v, n - whole)


cdef void activate_part(
    int kind, const real* x_or_y, const real* dy, real* out, dim n,
    const real* parameter, dim first, dim period,
) noexcept nogil:
    """Write values to ``out``, or gradients if there is a ``dy``."""
    if real is float:
        task(kind, x_or_y, dy, out, n, parameter, first, period, <vecf*> NULL)
    else:
        task(kind, x_or_y, dy, out, n, parameter, first, period, <vecd*> NULL)


cdef int run(
    int kind, const real* x_or_y, const real* dy, real* out, dim n, const real[::1] parameter,
) except -1:
    """Do the work of `forward`, or of `backward` if there is a ``dy``; threads share out tasks."""
    cdef bint two = kind == CLIP or kind == SCALED_ELU
    cdef bint quick = kind == RELU or kind == LEAKY_RELU or kind == HARD_SWISH or kind == CLIP
    cdef bint needed = kind == ELU or kind == LEAKY_RELU or two
    cdef dim period = 1 if parameter is None else parameter.shape[0], first, m, t, k
    cdef const real* given
    cdef Buffer workspace
    cdef real short_table[2 * SECOND]
    cdef real* table = short_table      # the parameter, and room for a vector from its last number
    if two and (parameter is None or period != 2):
        raise ValueError("clip and scaled_elu take two parameters")
    if two:
        period = 1
    if period < 1 or n % period != 0 or needed != (parameter is not None):
        raise ValueError("elu and leaky_relu, and they alone, take a parameter that divides x")
    if period > MAX_LANES:
        workspace = Buffer((<double> period + MAX_LANES) * sizeof(real))
        table = <real*> workspace.memory
    for k in range(period + MAX_LANES if needed else 0):
        table[k] = parameter[k % period]
    for k in range(SECOND if two else 0):
        table[SECOND + k] = parameter[1]
    for t in prange(blocks_of(n, ACTIVATION_TASK), nogil=True, schedule="static",
                    num_threads=threads_for(<double> n * sizeof(real) / (20 if quick else 8))):
        first = t * ACTIVATION_TASK
        m = least(ACTIVATION_TASK, n - first)
        given = NULL if dy == NULL else dy + first
        activate_part(kind, x_or_y + first, given, out + first, m, table, first, period)
    return 0


def forward(
    int kind,                           # of this module
    const real[::1] x,                  # in   (n,)
    real[::1] y,                        # out  (n,)
    const real[::1] parameter=None,     # in   (k,), repeated along x: elu's scale, or slopes;
                                        # (2,): clip's limits, or scales above and below 0
):
    """Write the activation of ``x`` to ``y``."""
    cdef FloatMode _mode = flush_denormals()
    if y.shape[0] != x.shape[0] or kind == SLOPE or not 0 <= kind <= SCALED_ELU:
        raise ValueError("kind must be of this module, and x and y of one length")
    if x.shape[0] > 0:
        run(kind, &x[0], <const real*> NULL, &y[0], x.shape[0], parameter)


def backward(
    int kind,                           # as given to forward, or `slope`
    const real[::1] x_or_y,             # in   (n,), x if the kind is in `takes_input`, else y
    const real[::1] dy,                 # in   (n,)
    real[::1] dx,                       # out  (n,)
    const real[::1] parameter=None,     # in   (k,), as given to forward
):
    """Write the gradient with respect to the input of the activation to ``dx``.

    For `slope`, with respect to the slope of leaky_relu: one number of each x, for the caller
    to add up.
    """
    cdef FloatMode _mode = flush_denormals()
    cdef dim n = x_or_y.shape[0]
    if dy.shape[0] != n or dx.shape[0] != n or not 0 <= kind <= SCALED_ELU:
        raise ValueError("kind must be of this module, and x_or_y, dy and dx of one length")
    if n > 0:
        run(kind, &x_or_y[0], &dy[0], &dx[0], n, parameter)
