"""Activations: functions of one number, each above its derivative.

All arrays are flat and of one length. Some derivatives follow from the output y, which the next
layer keeps anyway; the others need the input x: `takes_input` names those. Threads share out
tasks. Every number goes through the same instructions, those of the last, partial vector too: a
result does not depend on where in the array it stands.

Two kinds have a parameter, a slope or a scale below 0. It is an array, repeated along x: one number
for all, or one per channel, the last axis in memory.

A new activation is two functions of vectors here, a name in the first list, and a line each in
`element` and `loop_of`.
"""
from cython.parallel cimport prange

from cnn_core.memory cimport Buffer
from cnn_core.simd cimport lanes, vand_bits, vat_least, vdrelu, vec, vecd, vecf, vfill, vgreater
from cnn_core.simd cimport vload, vload_tail, vor_bits, vrelu, vselect, vstore, vstore_tail
from cnn_core.threads cimport threads_for
from cnn_core.types cimport blocks_of, dim, least, real
from cnn_core.vmath cimport absolute, at_least, at_most, exponential, exponential_less_1
from cnn_core.vmath cimport exponential_of_difference, logarithm_of_1_plus, normal

cdef extern from *:
    """
    #define SELU_ABOVE 1.0507009873554804934    /* lambda */
    #define SELU_BELOW 1.7580993408473768599    /* lambda alpha */
    #define NORMAL_AT_0 0.39894228040143267794  /* 1 / sqrt(2 pi), the density */
    #define GELU_LINEAR 1.5957691216057307117   /* 2 sqrt(2 / pi) */
    #define GELU_CUBIC (GELU_LINEAR * 0.044715)
    """
    double SELU_ABOVE
    double SELU_BELOW
    double NORMAL_AT_0
    double GELU_LINEAR
    double GELU_CUBIC

cdef enum:
    RELU                # derivative from the output y
    SIGMOID
    TANH
    ELU
    SELU
    SOFTPLUS
    LEAKY_RELU          # derivative from the input x
    HARD_SWISH
    SILU
    GELU
    GELU_TANH
    KINDS
    SLOPE = KINDS       # of `backward` alone: LEAKY_RELU's derivative with respect to its slope

cdef enum:
    TASK_ENTRIES = 8192     # entries that a thread takes at a time
    MAX_LANES = 16          # elements of the widest vector

relu, sigmoid, tanh, elu, selu, softplus = RELU, SIGMOID, TANH, ELU, SELU, SOFTPLUS
leaky_relu, hard_swish, silu, gelu, gelu_tanh = LEAKY_RELU, HARD_SWISH, SILU, GELU, GELU_TANH
slope = SLOPE
takes_input = frozenset(range(LEAKY_RELU, SLOPE + 1))


cdef inline vec relu_value(vec x) noexcept nogil:
    """Return x above 0, else 0; NaN stays NaN."""
    cdef vec zero
    vfill(zero, 0)
    vrelu(x, zero)
    return x


cdef inline vec relu_gradient(vec y, vec dy) noexcept nogil:
    """Return dy where y > 0, else 0."""
    cdef vec zero
    vfill(zero, 0)
    vdrelu(dy, y, zero)
    return dy


cdef inline vec sigmoid_value(vec x) noexcept nogil:
    """Return 1 / (1 + exp(-x)), by the exponential that cannot overflow; errs by 2.4 units at most.

    Units are those in the last place of the result, here and below, as measured.
    """
    cdef vec zero, one, positive, e
    vfill(zero, 0)
    vfill(one, 1)
    e = exponential(-absolute(x))
    vgreater(positive, x, zero)
    vselect(x, positive, one, e)
    return x / (one + e)


cdef inline vec sigmoid_gradient(vec y, vec dy) noexcept nogil:
    """Return dy y (1 - y)."""
    cdef vec one
    vfill(one, 1)
    return dy * y * (one - y)


cdef inline vec tanh_value(vec x) noexcept nogil:
    """Return tanh(x) = -m / (m + 2), m = exp(-2 abs(x)) - 1, with the sign of x.

    Small x lose no digits: errs by 2.5 units at most.
    """
    cdef vec sign, zero, two, m
    vfill(sign, -0.0)
    vfill(zero, 0)
    vfill(two, 2)
    vor_bits(m, x, sign)                # -abs(x)
    m = exponential_less_1(two * m)
    m = zero - m / (m + two)
    vand_bits(sign, sign, x)
    vor_bits(m, m, sign)
    return m


cdef inline vec tanh_gradient(vec y, vec dy) noexcept nogil:
    """Return dy (1 - y^2)."""
    cdef vec one
    vfill(one, 1)
    return dy * (one - y * y)


cdef inline vec elu_value(vec x, double above, vec below) noexcept nogil:
    """Return above x where x >= 0, else below (exp(x) - 1); errs by 1.6 units at most."""
    cdef vec zero, a, negative
    vfill(zero, 0)
    vfill(a, above)
    vgreater(negative, zero, x)
    vselect(x, negative, below * exponential_less_1(x), a * x)
    return x


cdef inline vec elu_gradient(vec y, vec dy, double above, vec below) noexcept nogil:
    """Return above dy where y > 0, else dy (y + below), which is dy below exp(x)."""
    cdef vec zero, a, positive
    vfill(zero, 0)
    vfill(a, above)
    vgreater(positive, y, zero)
    vselect(y, positive, a, y + below)
    return dy * y


cdef inline vec selu_value(vec x) noexcept nogil:
    """Return ELU with the two constants that keep mean 0 and variance 1."""
    cdef vec below
    vfill(below, SELU_BELOW)
    return elu_value(x, SELU_ABOVE, below)


cdef inline vec selu_gradient(vec y, vec dy) noexcept nogil:
    cdef vec below
    vfill(below, SELU_BELOW)
    return elu_gradient(y, dy, SELU_ABOVE, below)


cdef inline vec softplus_value(vec x) noexcept nogil:
    """Return log(1 + exp(x)) = max(x, 0) + log(1 + exp(-abs(x))); errs by 2.4 units at most."""
    cdef vec zero, z
    vfill(zero, 0)
    z = logarithm_of_1_plus(exponential(-absolute(x)))
    vrelu(x, zero)
    return x + z


cdef inline vec softplus_gradient(vec y, vec dy) noexcept nogil:
    """Return dy (1 - exp(-y)), which is dy sigmoid(x)."""
    return dy * -exponential_less_1(-y)


cdef inline vec leaky_relu_value(vec x, vec slope) noexcept nogil:
    """Return x above 0, else slope x."""
    cdef vec zero, positive
    vfill(zero, 0)
    vgreater(positive, x, zero)
    vselect(x, positive, x, slope * x)
    return x


cdef inline vec leaky_relu_gradient(vec x, vec dy, vec slope) noexcept nogil:
    """Return dy where x > 0, else slope dy."""
    cdef vec zero, positive
    vfill(zero, 0)
    vgreater(positive, x, zero)
    vselect(x, positive, dy, slope * dy)
    return x


cdef inline vec slope_gradient(vec x, vec dy) noexcept nogil:
    """Return 0 where x > 0, else x dy: what each number adds to the gradient of the slope."""
    cdef vec zero, positive
    vfill(zero, 0)
    vgreater(positive, x, zero)
    vselect(x, positive, zero, x * dy)
    return x


cdef inline vec hard_swish_value(vec x) noexcept nogil:
    """Return x min(max(x + 3, 0), 6) / 6, and 0 at -infinity."""
    cdef vec three, six
    vfill(three, 3)
    vfill(six, 6)
    x = at_least(x, -3)
    return x * (at_most(x + three, 6) / six)


cdef inline vec hard_swish_gradient(vec x, vec dy) noexcept nogil:
    """Return dy (x / 3 + 1 / 2) where abs(x) < 3, dy above that, 0 below."""
    cdef vec zero, half, one, three, mask, slope
    vfill(zero, 0)
    vfill(half, 0.5)
    vfill(one, 1)
    vfill(three, 3)
    slope = x / three + half
    vat_least(mask, x, three)
    vselect(slope, mask, one, slope)
    vat_least(mask, -three, x)
    vselect(slope, mask, zero, slope)
    return dy * slope


# The next three are x S(x), where S rises from 0 to 1 and S(-x) = 1 - S(x). They are computed from
# the small side, with a = abs(x): the value is max(x, 0) - a S(-a); the derivative is
# S(-a) - a S'(a) below 0, and 1 minus that above. So there is no 1 - S that cancels, nor an
# infinity times 0, as a is cut off where S(-a) has become 0.

cdef inline vec small_side(vec x, double end, double end_of_double) noexcept nogil:
    """Return a = abs(x), cut off where S(-a) has become 0 in the precision of x."""
    return at_most(absolute(x), end if vec is vecf else end_of_double)


cdef inline vec gated(vec x, vec a, vec s) noexcept nogil:
    """Return max(x, 0) - a s."""
    cdef vec zero
    vfill(zero, 0)
    vrelu(x, zero)
    return x - a * s


cdef inline vec mirrored(vec x, vec below) noexcept nogil:
    """Return 1 - below where x > 0, else below."""
    cdef vec zero, one, positive
    vfill(zero, 0)
    vfill(one, 1)
    vgreater(positive, x, zero)
    vselect(x, positive, one - below, below)
    return x


cdef inline void sigmoids(vec a, vec* s, vec* t) noexcept nogil:
    """s = sigmoid(-a) and t = sigmoid(a), for 0 <= a <= 170, in double to 1400."""
    cdef vec zero, one, e
    vfill(zero, 0)
    vfill(one, 1)
    e = exponential_of_difference(-a, zero)
    t[0] = one / (one + e)
    s[0] = e * t[0]


cdef inline vec silu_value(vec x) noexcept nogil:
    """Return x sigmoid(x); errs by 3.3 units at most."""
    cdef vec a = small_side(x, 110, 760), s, t
    sigmoids(a, &s, &t)
    return gated(x, a, s)


cdef inline vec silu_gradient(vec x, vec dy) noexcept nogil:
    """Return dy (s + x s (1 - s)), s = sigmoid(x)."""
    cdef vec a = small_side(x, 110, 760), s, t, one
    vfill(one, 1)
    sigmoids(a, &s, &t)
    return dy * mirrored(x, s * (one - a * t))


cdef inline vec gelu_value(vec x) noexcept nogil:
    """Return x P(x), P the normal distribution; errs by 8 units at most, 11 without FMA."""
    cdef vec a = small_side(x, 14.5, 39), e, q
    normal(a, &e, &q)
    return gated(x, a, q)


cdef inline vec gelu_gradient(vec x, vec dy) noexcept nogil:
    """Return dy (P(x) + x exp(-x^2 / 2) / sqrt(2 pi))."""
    cdef vec a = small_side(x, 14.5, 39), e, q, density
    vfill(density, NORMAL_AT_0)
    normal(a, &e, &q)
    return dy * mirrored(x, q - a * (e * density))


cdef inline vec gelu_tanh_value(vec x) noexcept nogil:
    """Return x (1 + tanh(u)) / 2 = x sigmoid(2 u), u = sqrt(2 / pi) (x + 0.044715 x^3).

    Below 0 it errs by 1.5 abs(2 u) + 2 units at most, since exp(2 u) inherits the rounding of u.
    """
    cdef vec a = small_side(x, 11, 22), s, t, c1, c3
    vfill(c1, GELU_LINEAR)
    vfill(c3, GELU_CUBIC)
    sigmoids(a * (c1 + c3 * (a * a)), &s, &t)
    return gated(x, a, s)


cdef inline vec gelu_tanh_gradient(vec x, vec dy) noexcept nogil:
    """Return dy (s + x s (1 - s) 2 du/dx), s = sigmoid(2 u)."""
    cdef vec a = small_side(x, 11, 22), s, t, c1, c3, three, one, u3
    vfill(c1, GELU_LINEAR)
    vfill(c3, GELU_CUBIC)
    vfill(three, 3)
    vfill(one, 1)
    u3 = c3 * (a * a)
    sigmoids(a * (c1 + u3), &s, &t)
    return dy * mirrored(x, s * (one - a * t * (c1 + three * u3)))


cdef inline vec element(
    int kind, bint backward, vec x_or_y, vec dy, vec parameter,
) noexcept nogil:
    """Return the value of a kind at x, or, backward, its gradient with respect to the input."""
    if kind == RELU:
        return relu_gradient(x_or_y, dy) if backward else relu_value(x_or_y)
    if kind == SIGMOID:
        return sigmoid_gradient(x_or_y, dy) if backward else sigmoid_value(x_or_y)
    if kind == TANH:
        return tanh_gradient(x_or_y, dy) if backward else tanh_value(x_or_y)
    if kind == ELU:
        return (elu_gradient(x_or_y, dy, 1, parameter) if backward
                else elu_value(x_or_y, 1, parameter))
    if kind == SELU:
        return selu_gradient(x_or_y, dy) if backward else selu_value(x_or_y)
    if kind == SOFTPLUS:
        return softplus_gradient(x_or_y, dy) if backward else softplus_value(x_or_y)
    if kind == LEAKY_RELU:
        return (leaky_relu_gradient(x_or_y, dy, parameter) if backward
                else leaky_relu_value(x_or_y, parameter))
    if kind == HARD_SWISH:
        return hard_swish_gradient(x_or_y, dy) if backward else hard_swish_value(x_or_y)
    if kind == SILU:
        return silu_gradient(x_or_y, dy) if backward else silu_value(x_or_y)
    if kind == GELU:
        return gelu_gradient(x_or_y, dy) if backward else gelu_value(x_or_y)
    if kind == GELU_TANH:
        return gelu_tanh_gradient(x_or_y, dy) if backward else gelu_tanh_value(x_or_y)
    return slope_gradient(x_or_y, dy)


cdef inline void loop(
    int kind,                                   # a literal at every call: each kind has its loops
    const real* x_or_y, const real* dy, real* out, dim n,   # n a multiple of a vector
    const real* parameter, dim at, dim period,  # for x_or_y[0], parameter[at]
    vec* tag,                                   # NULL: only names the vector type
) noexcept nogil:
    """Write values to ``out``, or gradients if there is a ``dy``."""
    cdef dim size = lanes(sizeof(real)), i = 0, step = size % period
    cdef vec v, g, p
    vfill(p, 0)
    while i < n:
        vload(v, x_or_y + i)
        if kind == ELU or kind == LEAKY_RELU:
            vload(p, parameter + at)
            at += step
            at = at - period if at >= period else at
        if dy == NULL:
            v = element(kind, False, v, v, p)
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


cdef int run(
    int kind, const real* x_or_y, const real* dy, real* out, dim n, const real[::1] parameter,
) except -1:
    """Do the work of `forward`, or of `backward` if there is a ``dy``; threads share out tasks."""
    cdef bint quick = kind == RELU or kind == LEAKY_RELU or kind == HARD_SWISH
    cdef bint needed = kind == ELU or kind == LEAKY_RELU
    cdef dim period = 1 if parameter is None else parameter.shape[0], first, m, t, k
    cdef const real* given
    cdef Buffer workspace
    cdef real* table = NULL     # the parameter, repeated: a vector from any of its numbers on
    if period < 1 or n % period != 0 or needed != (parameter is not None):
        raise ValueError("elu and leaky_relu, and they alone, take a parameter that divides x")
    if needed:
        workspace = Buffer((period + MAX_LANES) * sizeof(real))
        table = <real*> workspace.memory
        for k in range(period + MAX_LANES):
            table[k] = parameter[k % period]
    for t in prange(blocks_of(n, TASK_ENTRIES), nogil=True, schedule="static",
                    num_threads=threads_for(<double> n * sizeof(real) / (20 if quick else 8))):
        first = t * TASK_ENTRIES
        m = least(TASK_ENTRIES, n - first)
        given = NULL if dy == NULL else dy + first
        if real is float:
            task(kind, x_or_y + first, given, out + first, m, table, first, period, <vecf*> NULL)
        else:
            task(kind, x_or_y + first, given, out + first, m, table, first, period, <vecd*> NULL)
    return 0


def forward(
    int kind,                           # of this module
    const real[::1] x,                  # in   (n,)
    real[::1] y,                        # out  (n,)
    const real[::1] parameter=None,     # in   (k,), repeated along x: elu's scale, or slopes
):
    """Write the activation of ``x`` to ``y``."""
    if y.shape[0] != x.shape[0] or not 0 <= kind < KINDS:
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

    For `slope`, with respect to the slope of leaky_relu: one number of each, still to be added up.
    """
    cdef dim n = x_or_y.shape[0]
    if dy.shape[0] != n or dx.shape[0] != n or not 0 <= kind <= SLOPE:
        raise ValueError("kind must be of this module, and x_or_y, dy and dx of one length")
    if n > 0:
        run(kind, &x_or_y[0], &dy[0], &dx[0], n, parameter)
