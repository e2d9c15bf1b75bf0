"""Squeeze and excitation: a factor per channel, which two dense layers make of the channels' means.

s = mean of x over pixels;  z = relu(s w1 + b1);  g = sigmoid(z w2 + b2);  y = x g

Axes: n samples, p pixels, c channels, r units of the first dense layer. Threads share out samples;
the products are those of `cnn_core.gemm`, which shares out itself.
"""
from libc.math cimport exp

from cnn_core.gemm cimport ADD, RELU, product
from cnn_core.threads cimport parallel
from cnn_core.types cimport dim, real

cdef struct Pass:           # what threads are told
    const void* x
    const void* dy
    const void* g           # (n, c), factors
    void* rows              # (n, c): means; or gradients of factors; or, read, of means
    void* out               # (n, p, c), y or dx
    dim p, c
    bint single             # precision: float, or double


cdef void squeeze(
    const real* x, const real* dy, real* rows, dim p, dim c, dim start, dim stop,
) noexcept nogil:
    """Write the sums over pixels of x, or of x dy if there is a dy, of samples from `start` on."""
    cdef dim k, i, j, at
    cdef real* row
    for k in range(start, stop):
        row = rows + k * c
        for j in range(c):
            row[j] = 0
        for i in range(p):
            at = (k * p + i) * c
            if dy == NULL:
                for j in range(c):
                    row[j] += x[at + j]
            else:
                for j in range(c):
                    row[j] += x[at + j] * dy[at + j]


cdef void squeeze_samples(void* context, dim start, dim stop) noexcept nogil:
    cdef Pass* a = <Pass*> context
    if a.single:
        squeeze[float](<const float*> a.x, <const float*> a.dy, <float*> a.rows,
                       a.p, a.c, start, stop)
    else:
        squeeze[double](<const double*> a.x, <const double*> a.dy, <double*> a.rows,
                        a.p, a.c, start, stop)


cdef void excite(
    const real* x, const real* g, const real* rows, real* out, dim p, dim c, dim start, dim stop,
) noexcept nogil:
    """out = x g, plus a row if there are rows, of samples from `start` on."""
    cdef dim k, i, j, at, row
    for k in range(start, stop):
        row = k * c
        for i in range(p):
            at = (k * p + i) * c
            if rows == NULL:
                for j in range(c):
                    out[at + j] = x[at + j] * g[row + j]
            else:
                for j in range(c):
                    out[at + j] = x[at + j] * g[row + j] + rows[row + j]


cdef void excite_samples(void* context, dim start, dim stop) noexcept nogil:
    cdef Pass* a = <Pass*> context
    if a.single:
        excite[float](<const float*> a.x, <const float*> a.g, <const float*> a.rows,
                      <float*> a.out, a.p, a.c, start, stop)
    else:
        excite[double](<const double*> a.x, <const double*> a.g, <const double*> a.rows,
                       <double*> a.out, a.p, a.c, start, stop)


def forward(
    const real[:, :, ::1] x,                        # in   (n, p, c)
    const real[:, ::1] w1, const real[::1] b1,      # in   (c, r), (r,)
    const real[:, ::1] w2, const real[::1] b2,      # in   (r, c), (c,)
    real[:, ::1] s, real[:, ::1] z, real[:, ::1] g,     # out  (n, c), (n, r), (n, c), for backward
    real[:, :, ::1] y,                              # out  (n, p, c)
):
    """Write y, and what the backward pass needs."""
    cdef dim n = x.shape[0], p = x.shape[1], c = x.shape[2], r = w1.shape[1], i, j
    cdef Pass a
    if (w1.shape[0] != c or w2.shape[0] != r or w2.shape[1] != c or b1.shape[0] != r
            or b2.shape[0] != c or s.shape[0] != n or s.shape[1] != c or z.shape[0] != n
            or z.shape[1] != r or g.shape[0] != n or g.shape[1] != c or y.shape[0] != n
            or y.shape[1] != p or y.shape[2] != c):
        raise ValueError("shapes must fit: x (n, p, c), w1 (c, r), w2 (r, c)")
    if n == 0 or p == 0:
        return
    a.x, a.dy, a.g, a.rows, a.out = &x[0, 0, 0], NULL, &g[0, 0], &s[0, 0], &y[0, 0, 0]
    a.p, a.c, a.single = p, c, real is float
    with nogil:             # the last argument: about the nanoseconds that it takes one thread
        parallel(squeeze_samples, &a, n, <double> n * p * c * sizeof(real) / 16)
    for i in range(n):
        for j in range(c):
            s[i, j] /= p
    product(n, r, c, &s[0, 0], False, &w1[0, 0], False, &z[0, 0], &b1[0], <real*> NULL, RELU)
    product(n, c, r, &z[0, 0], False, &w2[0, 0], False, &g[0, 0], &b2[0], <real*> NULL, 0)
    for i in range(n):
        for j in range(c):
            g[i, j] = <real> (1 / (1 + exp(-<double> g[i, j])))
    a.rows = NULL
    with nogil:
        parallel(excite_samples, &a, n, <double> n * p * c * sizeof(real) / 8)


def backward(
    const real[:, :, ::1] x, const real[:, :, ::1] dy,      # in   (n, p, c)
    const real[:, ::1] w1, const real[:, ::1] w2,           # in   as given to forward
    const real[:, ::1] s, const real[:, ::1] z, const real[:, ::1] g,   # in   as forward wrote them
    real[:, ::1] dw1, real[::1] db1,                        # in, out  gradients are added
    real[:, ::1] dw2, real[::1] db2,
    real[:, ::1] dg, real[:, ::1] dz, real[:, ::1] ds,      # workspace, like g, z, s
    real[:, :, ::1] dx,                                     # out  (n, p, c); or None
):
    """Add to the gradients of the parameters; write dx."""
    cdef dim n = x.shape[0], p = x.shape[1], c = x.shape[2], r = w1.shape[1], i, j
    cdef Pass a
    if (dy.shape[0] != n or dy.shape[1] != p or dy.shape[2] != c or dg.shape[0] != n
            or dg.shape[1] != c or dz.shape[0] != n or dz.shape[1] != r or ds.shape[0] != n
            or ds.shape[1] != c or g.shape[0] != n or g.shape[1] != c or z.shape[0] != n
            or z.shape[1] != r or s.shape[0] != n or s.shape[1] != c or dw1.shape[0] != c
            or dw1.shape[1] != r or dw2.shape[0] != r or dw2.shape[1] != c or db1.shape[0] != r
            or db2.shape[0] != c or w1.shape[0] != c or w2.shape[0] != r or w2.shape[1] != c):
        raise ValueError("shapes must be those of forward")
    if dx is not None and (dx.shape[0] != n or dx.shape[1] != p or dx.shape[2] != c):
        raise ValueError("dx must have the shape of x")
    if n == 0 or p == 0:
        return
    a.x, a.dy, a.g, a.rows, a.out = &x[0, 0, 0], &dy[0, 0, 0], &g[0, 0], &dg[0, 0], NULL
    a.p, a.c, a.single = p, c, real is float
    with nogil:             # dg = sum over pixels of x dy
        parallel(squeeze_samples, &a, n, <double> n * p * c * sizeof(real) / 8)
    for i in range(n):      # from here on dg is the gradient before the sigmoid
        for j in range(c):
            dg[i, j] *= g[i, j] * (1 - g[i, j])
            db2[j] += dg[i, j]
    product(r, c, n, &z[0, 0], True, &dg[0, 0], False, &dw2[0, 0], <real*> NULL, <real*> NULL, ADD)
    product(n, r, c, &dg[0, 0], False, &w2[0, 0], True, &dz[0, 0], <real*> NULL, &z[0, 0], 0)
    for i in range(n):
        for j in range(r):
            db1[j] += dz[i, j]
    product(c, r, n, &s[0, 0], True, &dz[0, 0], False, &dw1[0, 0], <real*> NULL, <real*> NULL, ADD)
    if dx is None:
        return
    product(n, c, r, &dz[0, 0], False, &w1[0, 0], True, &ds[0, 0], <real*> NULL, <real*> NULL, 0)
    for i in range(n):
        for j in range(c):
            ds[i, j] /= p
    a.x, a.rows, a.out = a.dy, &ds[0, 0], &dx[0, 0, 0]
    with nogil:             # dx = dy g + ds / p
        parallel(excite_samples, &a, n, <double> n * p * c * sizeof(real) / 8)
