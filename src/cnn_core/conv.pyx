"""Two-dimensional convolution (cross-correlation) of channels-last images, and its gradients.

Each is a matrix product with the columns of `im2col`, of which only a block exists at a time, in
the second-level cache of the thread that needs it:

    forward           y[pixels, co]  = col(x)[pixels, k] w[k, co] + bias
    weight gradient   dw[k, co]     += col(x)[pixels, k]^T dy[pixels, co]
    input gradient    stride 1: the forward pass on dy, with w flipped and transposed
                      else: dcol[pixels, k] = dy[pixels, co] w^T, and dx = col2im(dcol)

3x3 windows at stride 1 may go by `winograd` instead, if the caller says so.

    n, h, w, c   images, height, width, channels          kh, kw   window height, width
    oh, ow, co   the same of the output                   k        kh, kw, c/groups as one axis
"""
from cython.parallel cimport parallel, prange, threadid
from libc.string cimport memset

from cnn_core.gemm cimport CHAIN, chain_length, multiply, pack, packed_size
from cnn_core.im2col cimport Window, col2im_rows, im2col_rows, usable
from cnn_core.simd cimport line_free, line_malloc
from cnn_core.threads cimport threads_for
from cnn_core.types cimport blocks_of, dim, least, real
from cnn_core.winograd cimport winograd_backward_weight, winograd_forward

cdef enum:
    PIXELS = 112        # pixels of the output per unit of work: whole tiles of 14 or nearly of 6
    LD = CHAIN + 16     # step between rows of a block of col: not a power of two (see gemm)
    UNITS = 16          # least number of units a weight gradient is cut into
    DCOL = 1 << 16      # entries of a block of dcol: 256 KiB


cdef double nanoseconds(dim pixels, dim k, dim co, int itemsize) noexcept nogil:
    return <double> pixels * k * co * itemsize / 150


cdef void forward_block(
    const real* x, dim h, dim w, dim c, dim group_c,        # from the first channel of the group
    const real* packed, const real* bias,                   # of the group; bias may be NULL
    real* y, dim oh, dim ow, dim co, dim group_co,          # likewise
    Window window, dim first, dim pixels,
    real* col,                                              # workspace, PIXELS x LD
) noexcept nogil:
    """y = col(x) w + bias for some pixels and one group, chain by chain of k."""
    cdef dim k = window.kh * window.kw * group_c, chain = chain_length(k), k0 = 0
    while k0 < k:
        chain = least(chain, k - k0)
        im2col_rows(x, h, w, c, group_c, oh, ow, window, first, pixels, k0, k0 + chain, col, LD)
        multiply(pixels, group_co, chain, col, LD, 1,
                 packed + packed_size(k0, group_co, sizeof(real)), y + first * co, co, bias, k0 > 0)
        k0 += chain


cdef int direct_forward(
    const real* x, dim n, dim h, dim w, dim c, const real* weight, const real* bias,
    real* y, dim oh, dim ow, dim co, Window window, dim groups,
) except -1 nogil:
    """Convolve by im2col and a product; threads share out blocks of pixels."""
    cdef dim k = window.kh * window.kw * c // groups, group_c = c // groups
    cdef dim group_co = co // groups, size = packed_size(k, group_co, sizeof(real))
    cdef dim pixels = n * oh * ow, b, g
    cdef int threads = threads_for(nanoseconds(pixels, k, co, sizeof(real)))
    cdef real* packed = <real*> line_malloc(
        (groups * size + threads * PIXELS * LD) * sizeof(real))
    cdef real* col
    if packed == NULL:
        raise MemoryError("no memory for the workspace of a convolution")
    for g in range(groups):
        pack(k, group_co, weight + g * group_co, co, 1, packed + g * size)
    with parallel(num_threads=threads):
        col = packed + groups * size + threadid() * PIXELS * LD
        for b in prange(blocks_of(pixels, PIXELS), schedule="static"):
            for g in range(groups):
                forward_block(
                    x + g * group_c, h, w, c, group_c, packed + g * size,
                    NULL if bias == NULL else bias + g * group_co,
                    y + g * group_co, oh, ow, co, group_co,
                    window, b * PIXELS, least(PIXELS, pixels - b * PIXELS), col)
    line_free(packed)
    return 0


cdef int forward(
    const real* x, dim n, dim h, dim w, dim c, const real* weight, const real* bias,
    real* y, dim oh, dim ow, dim co, Window window, dim groups, bint winograd,
) except -1 nogil:
    """Do the work of `conv2d_forward`; threads share out blocks of pixels."""
    if real is float:
        if winograd:
            return winograd_forward(x, n, h, w, c, weight, bias, y, oh, ow, co,
                                    window.top, window.left)
    return direct_forward(x, n, h, w, c, weight, bias, y, oh, ow, co, window, groups)


cdef void flip(
    const real* weight, dim kh, dim kw, dim group_c, dim co, dim groups,
    real* flipped,              # out  (kh, kw, co / groups, c)
) noexcept nogil:
    """flipped[-a, -b, o, g i] = weight[a, b, i, g o] for each group g."""
    cdef dim taps = kh * kw, group_co = co // groups, c = group_c * groups, tap, g, i, o
    for tap in range(taps):
        for g in range(groups):
            for i in range(group_c):
                for o in range(group_co):
                    flipped[((taps - 1 - tap) * group_co + o) * c + g * group_c + i] = (
                        weight[(tap * group_c + i) * co + g * group_co + o])


cdef int backward_input_flipped(
    const real* dy, dim n, dim oh, dim ow, dim co, const real* weight,
    real* dx, dim h, dim w, dim c, Window window, dim groups, bint winograd,
) except -1 nogil:
    """Input gradient at stride 1: convolve dy with the flipped weights."""
    cdef Window back = window
    cdef real* flipped = <real*> line_malloc(
        window.kh * window.kw * (c // groups) * co * sizeof(real))
    if flipped == NULL:
        raise MemoryError("no memory for the workspace of a convolution")
    flip(weight, window.kh, window.kw, c // groups, co, groups, flipped)
    back.top = window.dh * (window.kh - 1) - window.top
    back.left = window.dw * (window.kw - 1) - window.left
    try:
        forward(dy, n, oh, ow, co, flipped, NULL, dx, h, w, c, back, groups, winograd)
    finally:
        line_free(flipped)
    return 0


cdef void backward_input_image(
    const real* dy, dim image, dim oh, dim ow, dim co, const real* packed, dim size,
    real* dx, dim h, dim w, dim c, Window window, dim groups,
    real* dcol, dim rows,                                   # workspace, rows x k
) noexcept nogil:
    """Input gradient of one image at any stride: dcol = dy w^T, then back to the image."""
    cdef dim group_c = c // groups, group_co = co // groups, k = window.kh * window.kw * group_c
    cdef dim first = image * oh * ow, last = first + oh * ow, g
    memset(dx + image * h * w * c, 0, h * w * c * sizeof(real))
    while first < last:
        rows = least(rows, last - first)
        for g in range(groups):
            multiply(rows, k, group_co, dy + first * co + g * group_co, co, 1, packed + g * size,
                     dcol, k, <real*> NULL, False)
            col2im_rows(dcol, k, first, rows, oh, ow, window, dx + g * group_c, h, w, c, group_c)
        first += rows


cdef int backward_input_columns(
    const real* dy, dim n, dim oh, dim ow, dim co, const real* weight,
    real* dx, dim h, dim w, dim c, Window window, dim groups,
) except -1 nogil:
    """Input gradient at any stride; threads share out images."""
    cdef dim k = window.kh * window.kw * c // groups, group_co = co // groups
    cdef dim size = packed_size(group_co, k, sizeof(real)), image, g
    cdef dim rows = min(oh * ow, max(14, DCOL // k)), space = rows * k
    cdef int threads = threads_for(nanoseconds(n * oh * ow, k, co, sizeof(real)))
    cdef real* packed = <real*> line_malloc((groups * size + threads * space) * sizeof(real))
    cdef real* dcol
    if packed == NULL:
        raise MemoryError("no memory for the workspace of a convolution")
    for g in range(groups):
        pack(group_co, k, weight + g * group_co, 1, co, packed + g * size)
    with parallel(num_threads=threads):
        dcol = packed + groups * size + threadid() * space
        for image in prange(n, schedule="static"):
            backward_input_image(dy, image, oh, ow, co, packed, size, dx, h, w, c, window, groups,
                                 dcol, rows)
    line_free(packed)
    return 0


cdef void backward_weight_block(
    const real* x, dim h, dim w, dim c, const real* dy, dim oh, dim ow, dim co,
    Window window, dim groups, dim first, dim last,         # pixels
    dim k0, dim k1,                                         # rows of dw
    real* dw,                                               # out  (k, co), rows k0 to k1
    real* col, real* panels,                                # workspace
) noexcept nogil:
    """dw[k0:k1] = col(x)^T dy over some pixels, CHAIN of them at a time, in order."""
    cdef dim group_c = c // groups, group_co = co // groups, start = first, pixels, g
    while start < last:
        pixels = least(CHAIN, last - start)
        for g in range(groups):
            im2col_rows(x + g * group_c, h, w, c, group_c, oh, ow, window,
                        start, pixels, k0, k1, col, LD)
            pack(pixels, group_co, dy + start * co + g * group_co, co, 1, panels)
            multiply(k1 - k0, group_co, pixels, col, 1, LD, panels,
                     dw + k0 * co + g * group_co, co, <real*> NULL, start > first)
        start += pixels


cdef int direct_backward_weight(
    const real* x, dim n, dim h, dim w, dim c, const real* dy, dim oh, dim ow, dim co,
    real* dw, Window window, dim groups,
) except -1 nogil:
    """Add the gradient of the weights by im2col and a product.

    Units are (a run of pixels, a chain of k); their number follows from the shapes. Each run has
    its own partial sum of dw, and those are added in order.
    """
    cdef dim k = window.kh * window.kw * c // groups, chain = chain_length(k)
    cdef dim chains = blocks_of(k, chain), pixels = n * oh * ow
    cdef dim run = blocks_of(blocks_of(pixels, CHAIN), blocks_of(UNITS, chains)) * CHAIN
    cdef dim runs = blocks_of(pixels, run), unit, q, e
    cdef dim space = CHAIN * LD + packed_size(CHAIN, co // groups, sizeof(real))
    cdef int threads = threads_for(nanoseconds(pixels, k, co, sizeof(real)))
    cdef real* partial = <real*> line_malloc((runs * k * co + threads * space) * sizeof(real))
    cdef real* mine
    cdef real total
    if partial == NULL:
        raise MemoryError("no memory for the workspace of a convolution")
    with parallel(num_threads=threads):
        mine = partial + runs * k * co + threadid() * space
        for unit in prange(runs * chains, schedule="static"):
            backward_weight_block(
                x, h, w, c, dy, oh, ow, co, window, groups,
                unit // chains * run, least((unit // chains + 1) * run, pixels),
                unit % chains * chain, least((unit % chains + 1) * chain, k),
                partial + unit // chains * k * co, mine, mine + CHAIN * LD)
        for e in prange(k * co, schedule="static"):
            total = partial[e]
            for q in range(1, runs):
                total = total + partial[q * k * co + e]
            dw[e] = dw[e] + total
    line_free(partial)
    return 0


cdef int backward_weight(
    const real* x, dim n, dim h, dim w, dim c, const real* dy, dim oh, dim ow, dim co,
    real* dw, Window window, dim groups, bint winograd,
) except -1 nogil:
    """Do the work of `conv2d_backward_weight`."""
    if real is float:
        if winograd:
            return winograd_backward_weight(x, n, h, w, c, dy, oh, ow, co, dw,
                                            window.top, window.left)
    return direct_backward_weight(x, n, h, w, c, dy, oh, ow, co, dw, window, groups)


cdef bint belong(
    const dim* x, const dim* weight, const dim* y, Window window, dim groups,
) noexcept nogil:
    """Return whether the shapes of x, weight and y can be those of one convolution."""
    return (usable(window) and 1 <= groups <= weight[3] and x[0] == y[0] and y[3] == weight[3]
            and weight[3] % groups == 0 and x[3] == weight[2] * groups)


cdef bint serves(Window window, dim groups) noexcept nogil:
    """Return whether Winograd's algorithm computes such a convolution."""
    return (window.kh == 3 and window.kw == 3 and window.sh == 1 and window.sw == 1
            and window.dh == 1 and window.dw == 1 and groups == 1)


def conv2d_forward(
    const real[:, :, :, ::1] x,         # in   (n, h, w, c)
    const real[:, :, :, ::1] weight,    # in   (kh, kw, c / groups, co)
    const real[::1] bias,               # in   (co,), or None
    real[:, :, :, ::1] y,               # out  (n, oh, ow, co)
    dim sh, dim sw, dim top, dim left, dim dh, dim dw, dim groups,
    bint winograd=False,                # 3x3 at stride 1: by Winograd's algorithm in float32
):
    """Write the convolution of ``x`` with ``weight``, plus ``bias``, to ``y``."""
    cdef Window window = Window(weight.shape[0], weight.shape[1], sh, sw, top, left, dh, dw)
    cdef const real* start = NULL
    if (not belong(&x.shape[0], &weight.shape[0], &y.shape[0], window, groups)
            or (winograd and not serves(window, groups))
            or (bias is not None and bias.shape[0] != y.shape[3])):
        raise ValueError("x, weight, bias, y and the window do not belong to one convolution")
    if bias is not None:
        start = &bias[0]
    if min(y.shape[0], y.shape[1], y.shape[2]) == 0:
        return
    if min(x.shape[1], x.shape[2], x.shape[3]) == 0:
        raise ValueError("x has no pixels or no channels")
    with nogil:
        forward(&x[0, 0, 0, 0], x.shape[0], x.shape[1], x.shape[2], x.shape[3],
                &weight[0, 0, 0, 0], start, &y[0, 0, 0, 0], y.shape[1], y.shape[2], y.shape[3],
                window, groups, winograd)


def conv2d_backward_input(
    const real[:, :, :, ::1] dy,        # in   (n, oh, ow, co)
    const real[:, :, :, ::1] weight,    # in   (kh, kw, c / groups, co)
    real[:, :, :, ::1] dx,              # out  (n, h, w, c), overwritten
    dim sh, dim sw, dim top, dim left, dim dh, dim dw, dim groups,
    bint winograd=False,                # 3x3 at stride 1: by Winograd's algorithm in float32
):
    """Write the gradient of ``conv2d_forward`` with respect to ``x`` to ``dx``."""
    cdef Window window = Window(weight.shape[0], weight.shape[1], sh, sw, top, left, dh, dw)
    if (not belong(&dx.shape[0], &weight.shape[0], &dy.shape[0], window, groups)
            or (winograd and not serves(window, groups))):
        raise ValueError("dy, weight, dx and the window do not belong to one convolution")
    if min(dx.shape[0], dx.shape[1], dx.shape[2], dx.shape[3]) == 0:
        return
    if min(dy.shape[1], dy.shape[2]) == 0:
        dx[...] = 0
        return
    with nogil:
        if sh == 1 and sw == 1:
            backward_input_flipped(
                &dy[0, 0, 0, 0], dy.shape[0], dy.shape[1], dy.shape[2], dy.shape[3],
                &weight[0, 0, 0, 0], &dx[0, 0, 0, 0], dx.shape[1], dx.shape[2], dx.shape[3],
                window, groups, winograd)
        else:
            backward_input_columns(
                &dy[0, 0, 0, 0], dy.shape[0], dy.shape[1], dy.shape[2], dy.shape[3],
                &weight[0, 0, 0, 0], &dx[0, 0, 0, 0], dx.shape[1], dx.shape[2], dx.shape[3],
                window, groups)


def conv2d_backward_weight(
    const real[:, :, :, ::1] x,         # in   (n, h, w, c)
    const real[:, :, :, ::1] dy,        # in   (n, oh, ow, co)
    real[:, :, :, ::1] dweight,         # out  (kh, kw, c / groups, co), added to
    dim sh, dim sw, dim top, dim left, dim dh, dim dw, dim groups,
    bint winograd=False,                # 3x3 at stride 1: by Winograd's algorithm in float32
):
    """Add the gradient of ``conv2d_forward`` with respect to ``weight`` to ``dweight``."""
    cdef Window window = Window(dweight.shape[0], dweight.shape[1], sh, sw, top, left, dh, dw)
    if (not belong(&x.shape[0], &dweight.shape[0], &dy.shape[0], window, groups)
            or (winograd and not serves(window, groups))):
        raise ValueError("x, dy, dweight and the window do not belong to one convolution")
    if min(dy.shape[0], dy.shape[1], dy.shape[2], x.shape[1], x.shape[2], x.shape[3]) == 0:
        return
    with nogil:
        backward_weight(&x[0, 0, 0, 0], x.shape[0], x.shape[1], x.shape[2], x.shape[3],
                        &dy[0, 0, 0, 0], dy.shape[1], dy.shape[2], dy.shape[3],
                        &dweight[0, 0, 0, 0], window, groups, winograd)
