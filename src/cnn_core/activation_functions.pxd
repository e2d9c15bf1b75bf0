# cython: cdivision=True, language_level=3
"""The functions behind `activation`: each of one number, its value above its gradient.

A gradient is dy times the derivative, at the output y where the derivative follows from it, else at
the input x. Errors are in units in the last place of the result, the largest measured.
"""
from cnn_core.simd cimport vand_bits, vat_least, vdrelu, vec, vecf, vfill, vgreater, vor_bits
from cnn_core.simd cimport vrelu, vselect
from cnn_core.vmath cimport absolute, at_least, at_most, exponential, exponential_less_1
from cnn_core.vmath cimport exponential_of_difference, logarithm_of_1_plus, normal

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

cdef enum:              # of two parameters; other packages know the numbers above, so these follow
    CLIP = SLOPE + 1    # derivative from the output y, or from the input x alike
    SCALED_ELU          # derivative from the output y

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
    """Return 1 / (1 + exp(-x)), by the exponential that cannot overflow; errs by 2.4 units."""
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

    Small x lose no digits: errs by 2.5 units.
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


cdef inline vec scaled_elu_value(vec x, vec above, vec below) noexcept nogil:
    """Return above x where x >= 0, else below (exp(x) - 1); errs by 1.6 units."""
    cdef vec zero, negative
    vfill(zero, 0)
    vgreater(negative, zero, x)
    vselect(x, negative, below * exponential_less_1(x), above * x)
    return x


cdef inline vec scaled_elu_gradient(vec y, vec dy, vec above, vec below) noexcept nogil:
    """Return above dy where y > 0, else dy (y + below), which is dy below exp(x)."""
    cdef vec zero, positive
    vfill(zero, 0)
    vgreater(positive, y, zero)
    vselect(y, positive, above, y + below)
    return dy * y


cdef inline vec elu_value(vec x, double above, vec below) noexcept nogil:
    """Return above x where x >= 0, else below (exp(x) - 1)."""
    cdef vec a
    vfill(a, above)
    return scaled_elu_value(x, a, below)


cdef inline vec elu_gradient(vec y, vec dy, double above, vec below) noexcept nogil:
    """Return above dy where y > 0, else dy (y + below)."""
    cdef vec a
    vfill(a, above)
    return scaled_elu_gradient(y, dy, a, below)


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
    """Return log(1 + exp(x)) = max(x, 0) + log(1 + exp(-abs(x))); errs by 2.4 units."""
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


cdef inline vec clip_value(vec x, vec low, vec high) noexcept nogil:
    """Return min(max(x, low), high); NaN stays NaN."""
    cdef vec beyond
    vgreater(beyond, low, x)
    vselect(x, beyond, low, x)
    vgreater(beyond, x, high)
    vselect(x, beyond, high, x)
    return x


cdef inline vec clip_gradient(vec x_or_y, vec dy, vec low, vec high) noexcept nogil:
    """Return dy between the limits, 0 at and beyond them."""
    vdrelu(dy, x_or_y, low)
    vdrelu(dy, high, x_or_y)
    return dy


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
    """Return x sigmoid(x); errs by 3.3 units."""
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
    """Return x P(x), P the normal distribution; errs by 8 units, by 11 without FMA."""
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

    Below 0 it errs by 1.5 abs(2 u) + 2 units, since exp(2 u) inherits the rounding of u.
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


cdef inline vec element_of_two(
    int kind, bint backward, vec x_or_y, vec dy, vec first, vec second,
) noexcept nogil:
    """Do the work of `element` for CLIP (low, high) and SCALED_ELU (above, below)."""
    if kind == CLIP:
        return (clip_gradient(x_or_y, dy, first, second) if backward
                else clip_value(x_or_y, first, second))
    return (scaled_elu_gradient(x_or_y, dy, first, second) if backward
            else scaled_elu_value(x_or_y, first, second))
