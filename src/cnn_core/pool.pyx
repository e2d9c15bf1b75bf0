"""Max and average pooling of channels-last images.

A *slab* is a block of channels of one image. Windows may overlap inside a slab, slabs never
do: threads share out slabs, and the backward pass needs no atomics.

    n, h, w, c   images, height, width, channels      kh, kw   window height, width
    oh, ow       output height, width                 sh, sw   step from window to window
    top, left, bottom, right   padding, never read: -inf to a maximum, nothing to a mean
"""
from cython.parallel cimport prange
from libc.math cimport INFINITY

from cnn_core.threads cimport threads_for
from cnn_core.types cimport blocks_of, dim, least, real, same_shape

cdef enum:
    SLAB = 64          # channels per slab: two cache lines or more of every pixel


cdef void max_pool_slab_forward(
    const real* x, real* y, int* argmax,          # first channel of the slab
    dim slab, dim c, dim h, dim w, dim oh, dim ow,
    dim kh, dim kw, dim sh, dim sw, dim top, dim left,
) noexcept nogil:
    """y[i, j] = largest pixel (or NaN) of the window; argmax[i, j] = its number, -1 if none."""
    cdef dim i, j, a, b, k, pixel
    cdef const real* value
    cdef real* best
    cdef int* at
    cdef real v
    cdef bint wins
    for i in range(oh):
        for j in range(ow):
            best = y + (i * ow + j) * c
            at = argmax + (i * ow + j) * c
            for k in range(slab):
                best[k] = -INFINITY
                at[k] = -1
            for a in range(max(0, i * sh - top), least(h, i * sh - top + kh)):
                for b in range(max(0, j * sw - left), least(w, j * sw - left + kw)):
                    pixel = a * w + b
                    value = x + pixel * c
                    for k in range(slab):       # without branches, so that it vectorises
                        v = value[k]
                        wins = (v > best[k]) | (v != v) | (at[k] < 0)
                        best[k] = v if wins else best[k]
                        at[k] = <int> pixel if wins else at[k]


cdef void max_pool_slab_backward(
    const real* dy, const int* argmax, real* dx,  # first channel of the slab
    dim slab, dim c, dim pixels, dim windows,
) noexcept nogil:
    """dx = 0; then dx[argmax[i, j]] += dy[i, j]. Pixel numbers outside the image are skipped."""
    cdef dim i, k
    for i in range(pixels):
        for k in range(slab):
            dx[i * c + k] = 0
    for i in range(windows):
        for k in range(slab):
            if 0 <= argmax[i * c + k] < pixels:
                dx[argmax[i * c + k] * c + k] += dy[i * c + k]


cdef inline real share(
    dim i, dim j, dim h, dim w, dim kh, dim kw, dim sh, dim sw, dim top, dim left, dim bottom,
    dim right, bint include_pad, real one,
) noexcept nogil:
    """Return ``one`` over the number of pixels that the mean of window (i, j) counts."""
    cdef dim y0 = i * sh - top, x0 = j * sw - left, y1, x1
    if include_pad:
        y1, x1 = least(y0 + kh, h + bottom), least(x0 + kw, w + right)
    else:
        y1, x1 = least(y0 + kh, h), least(x0 + kw, w)
        y0, x0 = max(0, y0), max(0, x0)
    return one / max(1, (y1 - y0) * (x1 - x0))


cdef void avg_pool_slab_forward(
    const real* x, real* y,                       # first channel of the slab
    dim slab, dim c, dim h, dim w, dim oh, dim ow, dim kh, dim kw, dim sh, dim sw,
    dim top, dim left, dim bottom, dim right, bint include_pad,
) noexcept nogil:
    """y[i, j] = mean of the window."""
    cdef dim i, j, a, b, k
    cdef const real* value
    cdef real* total
    cdef real weight
    for i in range(oh):
        for j in range(ow):
            total = y + (i * ow + j) * c
            for k in range(slab):
                total[k] = 0
            for a in range(max(0, i * sh - top), least(h, i * sh - top + kh)):
                for b in range(max(0, j * sw - left), least(w, j * sw - left + kw)):
                    value = x + (a * w + b) * c
                    for k in range(slab):
                        total[k] = total[k] + value[k]
            weight = share(i, j, h, w, kh, kw, sh, sw, top, left, bottom, right, include_pad,
                           <real> 1)
            for k in range(slab):
                total[k] = total[k] * weight


cdef void avg_pool_slab_backward(
    const real* dy, real* dx,                     # first channel of the slab
    dim slab, dim c, dim h, dim w, dim oh, dim ow, dim kh, dim kw, dim sh, dim sw,
    dim top, dim left, dim bottom, dim right, bint include_pad,
) noexcept nogil:
    """dx = 0; then each pixel of a window gets its share of dy."""
    cdef dim i, j, a, b, k
    cdef const real* given
    cdef real* pixel
    cdef real weight
    for i in range(h * w):
        for k in range(slab):
            dx[i * c + k] = 0
    for i in range(oh):
        for j in range(ow):
            given = dy + (i * ow + j) * c
            weight = share(i, j, h, w, kh, kw, sh, sw, top, left, bottom, right, include_pad,
                           <real> 1)
            for a in range(max(0, i * sh - top), least(h, i * sh - top + kh)):
                for b in range(max(0, j * sw - left), least(w, j * sw - left + kw)):
                    pixel = dx + (a * w + b) * c
                    for k in range(slab):
                        pixel[k] = pixel[k] + weight * given[k]


cdef bint usable(
    dim kh, dim kw, dim sh, dim sw, dim top, dim left, dim bottom, dim right,
) noexcept nogil:
    """Return whether no index computed with this window can overflow."""
    cdef dim limit = 1 << 30
    return (0 < kh < limit and 0 < kw < limit and 0 < sh < limit and 0 < sw < limit
            and 0 <= top < limit and 0 <= left < limit
            and 0 <= bottom < limit and 0 <= right < limit)


def max_pool2d_forward(
    const real[:, :, :, ::1] x,        # in   (n, h, w, c)
    real[:, :, :, ::1] y,              # out  (n, oh, ow, c)
    int[:, :, :, ::1] argmax,          # out  (n, oh, ow, c), pixel number in the image
    dim kh, dim kw, dim sh, dim sw, dim top, dim left,
):
    """Write the largest value of each window of ``x`` to ``y``."""
    cdef dim n = x.shape[0], h = x.shape[1], w = x.shape[2], c = x.shape[3]
    cdef dim oh = y.shape[1], ow = y.shape[2], slabs = blocks_of(c, SLAB), s, first
    if (not usable(kh, kw, sh, sw, top, left, 0, 0) or y.shape[0] != n or y.shape[3] != c
            or h * w > 0x7fffffff or not same_shape(&y.shape[0], &argmax.shape[0], 4)):
        raise ValueError("x, y, argmax and the window do not belong to one pooling")
    if min(n, oh, ow, c) == 0:
        return
    if min(h, w) == 0:
        raise ValueError("x has no pixels")
    for s in prange(n * slabs, nogil=True, schedule="static",
                    num_threads=threads_for(<double> n * oh * ow * c * kh * kw / 8)):
        first = (s % slabs) * SLAB
        max_pool_slab_forward(
            &x[s // slabs, 0, 0, first], &y[s // slabs, 0, 0, first],
            &argmax[s // slabs, 0, 0, first],
            least(SLAB, c - first), c, h, w, oh, ow, kh, kw, sh, sw, top, left)


def max_pool2d_backward(
    const real[:, :, :, ::1] dy,       # in   (n, oh, ow, c)
    const int[:, :, :, ::1] argmax,    # in   (n, oh, ow, c), as forward wrote it
    real[:, :, :, ::1] dx,             # out  (n, h, w, c), overwritten
):
    """Write the gradient of ``max_pool2d_forward`` with respect to ``x`` to ``dx``."""
    cdef dim n = dx.shape[0], pixels = dx.shape[1] * dx.shape[2], c = dx.shape[3]
    cdef dim windows = dy.shape[1] * dy.shape[2], slabs = blocks_of(c, SLAB), s, first
    if (dy.shape[0] != n or dy.shape[3] != c
            or not same_shape(&dy.shape[0], &argmax.shape[0], 4)):
        raise ValueError("dy, argmax and dx do not belong to one pooling")
    if min(n, pixels, c) == 0:
        return
    if windows == 0:
        dx[...] = 0
        return
    for s in prange(n * slabs, nogil=True, schedule="static",
                    num_threads=threads_for(<double> n * pixels * c / 2)):
        first = (s % slabs) * SLAB
        max_pool_slab_backward(
            &dy[s // slabs, 0, 0, first], &argmax[s // slabs, 0, 0, first],
            &dx[s // slabs, 0, 0, first], least(SLAB, c - first), c, pixels, windows)


def avg_pool2d_forward(
    const real[:, :, :, ::1] x,        # in   (n, h, w, c)
    real[:, :, :, ::1] y,              # out  (n, oh, ow, c)
    dim kh, dim kw, dim sh, dim sw, dim top, dim left, dim bottom, dim right,
    bint include_pad,                  # count the padding as pixels of value 0
):
    """Write the mean of each window of ``x`` to ``y``."""
    cdef dim n = x.shape[0], h = x.shape[1], w = x.shape[2], c = x.shape[3]
    cdef dim oh = y.shape[1], ow = y.shape[2], slabs = blocks_of(c, SLAB), s, first
    if (not usable(kh, kw, sh, sw, top, left, bottom, right) or y.shape[0] != n
            or y.shape[3] != c):
        raise ValueError("x, y and the window do not belong to one pooling")
    if min(n, oh, ow, c) == 0:
        return
    if min(h, w) == 0:
        raise ValueError("x has no pixels")
    for s in prange(n * slabs, nogil=True, schedule="static",
                    num_threads=threads_for(<double> n * oh * ow * c * kh * kw / 8)):
        first = (s % slabs) * SLAB
        avg_pool_slab_forward(
            &x[s // slabs, 0, 0, first], &y[s // slabs, 0, 0, first], least(SLAB, c - first),
            c, h, w, oh, ow, kh, kw, sh, sw, top, left, bottom, right, include_pad)


def avg_pool2d_backward(
    const real[:, :, :, ::1] dy,       # in   (n, oh, ow, c)
    real[:, :, :, ::1] dx,             # out  (n, h, w, c), overwritten
    dim kh, dim kw, dim sh, dim sw, dim top, dim left, dim bottom, dim right,
    bint include_pad,
):
    """Write the gradient of ``avg_pool2d_forward`` with respect to ``x`` to ``dx``."""
    cdef dim n = dx.shape[0], h = dx.shape[1], w = dx.shape[2], c = dx.shape[3]
    cdef dim oh = dy.shape[1], ow = dy.shape[2], slabs = blocks_of(c, SLAB), s, first
    if (not usable(kh, kw, sh, sw, top, left, bottom, right) or dy.shape[0] != n
            or dy.shape[3] != c):
        raise ValueError("dy, dx and the window do not belong to one pooling")
    if min(n, h, w, c) == 0:
        return
    if min(oh, ow) == 0:
        dx[...] = 0
        return
    for s in prange(n * slabs, nogil=True, schedule="static",
                    num_threads=threads_for(<double> n * oh * ow * c * kh * kw / 8)):
        first = (s % slabs) * SLAB
        avg_pool_slab_backward(
            &dy[s // slabs, 0, 0, first], &dx[s // slabs, 0, 0, first], least(SLAB, c - first),
            c, h, w, oh, ow, kh, kw, sh, sw, top, left, bottom, right, include_pad)
