"""Activations: functions of one number, each above its derivative.

All arrays are flat and of one length. A derivative is computed from the output y, which the next
layer keeps anyway. Threads share out blocks. Every number goes through the same vector operations,
those of the last, partial vector too: a result does not depend on where in the array it stands.

A new activation is two functions of vectors here, a name in the first list, and a line each in
`value` and `gradient`.
"""
from cython.parallel cimport prange

from cnn_core.simd cimport VBYTES, vec, vecd, vecf, vfill, vgate, vload, vrelu, vstore
from cnn_core.threads cimport threads_for
from cnn_core.types cimport blocks_of, dim, least, real
from cnn_core.vmath cimport exponential, split_exponential, vand_bits, vgreater, vload_part
from cnn_core.vmath cimport vor_bits, vpower_of_2, vselect, vstore_part

cdef enum:
    RELU
    SIGMOID
    TANH
    KINDS

cdef enum:
    BLOCK = 8192        # entries per unit of work

relu, sigmoid, tanh = RELU, SIGMOID, TANH       # what the callers of `forward` pass


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
    vgate(dy, y, zero)
    return dy


cdef inline vec sigmoid_value(vec x) noexcept nogil:
    """Return 1 / (1 + exp(-x)), by the exponential that cannot overflow; errs by 2.4 units at most.

    Units are those in the last place of the result, here and below, as measured.
    """
    cdef vec zero, one, positive, e
    vfill(zero, 0)
    vfill(one, 1)
    vgreater(positive, x, zero)
    vselect(e, positive, -x, x)
    e = exponential(e)
    vselect(x, positive, one, e)
    return x / (one + e)


cdef inline vec sigmoid_gradient(vec y, vec dy) noexcept nogil:
    """Return dy y (1 - y)."""
    cdef vec one
    vfill(one, 1)
    return dy * y * (one - y)


cdef inline vec tanh_value(vec x) noexcept nogil:
    """Return tanh(x) = -m / (m + 2), m = exp(-2 abs(x)) - 1, with the sign of x.

    exp(r) - 1 is known without cancellation (see `split_exponential`), so small x lose no digits:
    errs by 2.5 units at most.
    """
    cdef vec n, p, sign, zero, one, two, low, mask
    vfill(sign, -0.0)
    vfill(zero, 0)
    vfill(low, -40)                     # tanh is 1 long before
    vfill(one, 1)
    vfill(two, 2)
    vor_bits(n, x, sign)                # -abs(x)
    n = two * n
    vgreater(mask, low, n)
    vselect(n, mask, low, n)
    split_exponential(n, &n, &p)
    vpower_of_2(n, n)
    p = p * n + (n - one)
    p = zero - p / (p + two)
    vand_bits(sign, sign, x)
    vor_bits(p, p, sign)
    return p


cdef inline vec tanh_gradient(vec y, vec dy) noexcept nogil:
    """Return dy (1 - y^2)."""
    cdef vec one
    vfill(one, 1)
    return dy * (one - y * y)


cdef inline vec value(int kind, vec x) noexcept nogil:
    if kind == RELU:
        return relu_value(x)
    if kind == SIGMOID:
        return sigmoid_value(x)
    return tanh_value(x)


cdef inline vec gradient(int kind, vec y, vec dy) noexcept nogil:
    if kind == RELU:
        return relu_gradient(y, dy)
    if kind == SIGMOID:
        return sigmoid_gradient(y, dy)
    return tanh_gradient(y, dy)


cdef inline void value_block(
    int kind, const real* x, real* y, dim n, vec* lane,     # NULL: only names the vector type
) noexcept nogil:
    cdef dim size = VBYTES // sizeof(real), i = 0
    cdef vec v
    while i + size <= n:
        vload(v, x + i)
        v = value(kind, v)
        vstore(y + i, v)
        i += size
    if i < n:
        vload_part(v, x + i, n - i)
        v = value(kind, v)
        vstore_part(y + i, v, n - i)


cdef inline void gradient_block(
    int kind, const real* y, const real* dy, real* dx, dim n, vec* lane,
) noexcept nogil:
    cdef dim size = VBYTES // sizeof(real), i = 0
    cdef vec v, g
    while i + size <= n:
        vload(v, y + i)
        vload(g, dy + i)
        v = gradient(kind, v, g)
        vstore(dx + i, v)
        i += size
    if i < n:
        vload_part(v, y + i, n - i)
        vload_part(g, dy + i, n - i)
        v = gradient(kind, v, g)
        vstore_part(dx + i, v, n - i)


def forward(
    int kind,               # relu, sigmoid or tanh of this module
    const real[::1] x,      # in   (n,)
    real[::1] y,            # out  (n,)
):
    """Write the activation of ``x`` to ``y``."""
    cdef dim n = x.shape[0], b
    cdef double work = <double> n * sizeof(real) / (20 if kind == RELU else 8)
    if y.shape[0] != n or not 0 <= kind < KINDS:
        raise ValueError("kind must be of this module, and x and y of one length")
    for b in prange(blocks_of(n, BLOCK), nogil=True, schedule="static",
                    num_threads=threads_for(work)):
        if real is float:
            value_block(kind, &x[b * BLOCK], &y[b * BLOCK], least(BLOCK, n - b * BLOCK),
                        <vecf*> NULL)
        else:
            value_block(kind, &x[b * BLOCK], &y[b * BLOCK], least(BLOCK, n - b * BLOCK),
                        <vecd*> NULL)


def backward(
    int kind,               # as given to forward
    const real[::1] y,      # in   (n,), the output
    const real[::1] dy,     # in   (n,)
    real[::1] dx,           # out  (n,)
):
    """Write the gradient with respect to the input of the activation to ``dx``."""
    cdef dim n = y.shape[0], b
    if dy.shape[0] != n or dx.shape[0] != n or not 0 <= kind < KINDS:
        raise ValueError("kind must be of this module, and y, dy and dx of one length")
    for b in prange(blocks_of(n, BLOCK), nogil=True, schedule="static",
                    num_threads=threads_for(<double> n * sizeof(real) / 15)):
        if real is float:
            gradient_block(kind, &y[b * BLOCK], &dy[b * BLOCK], &dx[b * BLOCK],
                           least(BLOCK, n - b * BLOCK), <vecf*> NULL)
        else:
            gradient_block(kind, &y[b * BLOCK], &dy[b * BLOCK], &dx[b * BLOCK],
                           least(BLOCK, n - b * BLOCK), <vecd*> NULL)
