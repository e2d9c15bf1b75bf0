"""Swish: y = x sigmoid(beta x), and its gradient.

For a function of your own, change `value` and `gradient`. They get vectors, as wide as the level of
this build has them: + - * / work on them, `cnn_core.vmath` and `cnn_core.simd` have more. The rest
runs them over flat arrays. Every number goes through the same instructions, those of a last,
partial vector too: results do not depend on the number of threads.
"""
from cnn_core.activation_functions cimport sigmoid_value
from cnn_core.simd cimport lanes, vec, vecd, vecf, vfill, vload_tail, vstore_tail
from cnn_core.threads cimport parallel
from cnn_core.types cimport blocks_of, dim, least, real

cdef enum:
    BLOCK = 64          # numbers that threads do not share


cdef inline vec value(vec x, double beta) noexcept nogil:
    """Return x s, where s = sigmoid(beta x)."""
    cdef vec b
    vfill(b, beta)
    return x * sigmoid_value(b * x)


cdef inline vec gradient(vec x, vec dy, double beta) noexcept nogil:
    """Return dy (s + beta x s (1 - s))."""
    cdef vec b, one, s
    vfill(b, beta)
    vfill(one, 1)
    s = sigmoid_value(b * x)
    return dy * (s + b * x * s * (one - s))


cdef struct Pass:       # what threads are told
    const void* x
    const void* dy      # not of a forward pass
    void* out
    dim n
    bint single         # precision: float, or double
    double beta


cdef void forward_numbers(const vec* x, vec* y, dim n, double beta) noexcept nogil:
    cdef dim size = lanes(sizeof(float) if vec is vecf else sizeof(double))
    cdef vec v
    while n > 0:
        vload_tail(v, x, n)         # all of a vector, or the n numbers that are left
        v = value(v, beta)
        vstore_tail(y, v, n)
        x += 1
        y += 1
        n -= size


cdef void forward_blocks(void* context, dim start, dim stop) noexcept nogil:
    cdef Pass* p = <Pass*> context
    cdef dim i = start * BLOCK, n = least(stop * BLOCK, p.n) - i
    if p.single:
        forward_numbers(<const vecf*> (<const float*> p.x + i), <vecf*> (<float*> p.out + i),
                        n, p.beta)
    else:
        forward_numbers(<const vecd*> (<const double*> p.x + i), <vecd*> (<double*> p.out + i),
                        n, p.beta)


def forward(
    const real[::1] x,      # in   (n,)
    real[::1] y,            # out  (n,)
    double beta,
):
    """Write the value for each number of ``x`` to ``y``."""
    cdef Pass p
    if y.shape[0] != x.shape[0]:
        raise ValueError("x and y must have one length")
    if x.shape[0] == 0:
        return
    p.x, p.dy, p.out, p.n = &x[0], NULL, &y[0], x.shape[0]
    p.single, p.beta = real is float, beta
    with nogil:             # the last argument: about the nanoseconds that it takes one thread
        parallel(forward_blocks, &p, blocks_of(p.n, BLOCK), <double> p.n * sizeof(real) / 8)


cdef void backward_numbers(
    const vec* x, const vec* dy, vec* dx, dim n, double beta,
) noexcept nogil:
    cdef dim size = lanes(sizeof(float) if vec is vecf else sizeof(double))
    cdef vec v, g
    while n > 0:
        vload_tail(v, x, n)
        vload_tail(g, dy, n)
        g = gradient(v, g, beta)
        vstore_tail(dx, g, n)
        x += 1
        dy += 1
        dx += 1
        n -= size


cdef void backward_blocks(void* context, dim start, dim stop) noexcept nogil:
    cdef Pass* p = <Pass*> context
    cdef dim i = start * BLOCK, n = least(stop * BLOCK, p.n) - i
    if p.single:
        backward_numbers(<const vecf*> (<const float*> p.x + i),
                         <const vecf*> (<const float*> p.dy + i),
                         <vecf*> (<float*> p.out + i), n, p.beta)
    else:
        backward_numbers(<const vecd*> (<const double*> p.x + i),
                         <const vecd*> (<const double*> p.dy + i),
                         <vecd*> (<double*> p.out + i), n, p.beta)


def backward(
    const real[::1] x,      # in   (n,), as given to forward
    const real[::1] dy,     # in   (n,)
    real[::1] dx,           # out  (n,)
    double beta,
):
    """Write the gradient with respect to ``x`` to ``dx``."""
    cdef Pass p
    if dy.shape[0] != x.shape[0] or dx.shape[0] != x.shape[0]:
        raise ValueError("x, dy and dx must have one length")
    if x.shape[0] == 0:
        return
    p.x, p.dy, p.out, p.n = &x[0], &dy[0], &dx[0], x.shape[0]
    p.single, p.beta = real is float, beta
    with nogil:
        parallel(backward_blocks, &p, blocks_of(p.n, BLOCK), <double> p.n * sizeof(real) / 8)
