"""Two-dimensional convolution (cross-correlation) of channels-last images, and its gradients.

This module checks and chooses; others compute. `choose` is the only place that decides how:

    indirect      `conv_indirect`      matrix products that read the pixels where they lie
    depthwise     `conv_depthwise`     each channel has one filter of its own
    one_channel   `conv_one_channel`   from one channel to few filters
    col2im        `conv_col2im`        the input gradient of few channels
    winograd      `conv_winograd`      3x3 windows at stride 1, with a quarter of the products

    n, h, w, c   images, height, width, channels          kh, kw   window height, width
    oh, ow, co   the same of the output                   sh, sw   stride; dh, dw   dilation
    top, left    rows and columns of zeros before the image
"""
from cnn_core.add cimport add_all
from cnn_core.conv_col2im cimport col2im_backward_input
from cnn_core.conv_indirect cimport COL2IM, DEPTHWISE, INDIRECT, ONE_CHANNEL, WINOGRAD
from cnn_core.conv_indirect cimport indirect_backward_input, indirect_backward_weight
from cnn_core.conv_indirect cimport indirect_forward
from cnn_core.conv_one_channel cimport MAX_FILTERS
from cnn_core.conv_winograd cimport transform_weights, winograd_backward_weight
from cnn_core.conv_winograd cimport winograd_forward, winograd_length
from cnn_core.gemm cimport CHAIN, KC
from cnn_core.im2col cimport Window, need_reach, usable
from cnn_core.memory cimport Buffer
from cnn_core.simd cimport VBYTES
from cnn_core.threads cimport FloatMode, flush_denormals
from cnn_core.types cimport blocks_of, dim, real, same_shape

PASSES = ("forward", "backward_input", "backward_weight")
# in the order of the enum in conv_indirect.pxd
ALGORITHMS = ("indirect", "depthwise", "one_channel", "col2im", "winograd")


cdef bint fits_winograd(Window window, dim groups) noexcept nogil:
    """Return whether Winograd's algorithm applies."""
    return (window.kh == 3 and window.kw == 3 and window.sh == 1 and window.sw == 1
            and window.dh == 1 and window.dw == 1 and groups == 1)


cdef bint winograd_pays(dim c, dim co, dim oh, dim ow) noexcept nogil:
    """Return whether Winograd's algorithm is faster.

    With fewer than 8 channels on a side most of a vector would be padding; with an output of 5 x 5,
    say, most of the four tiles of 4 x 4 would be.
    """
    return (c >= 8 and co >= 8
            and 2. * oh * ow >= 16. * blocks_of(oh, 4) * blocks_of(ow, 4))


cdef int choose(
    bint input_gradient, dim c, dim co, dim oh, dim ow, Window window, dim groups,
    str request,                        # "auto", "direct" (not Winograd's algorithm) or "winograd"
    dim itemsize,
) noexcept:
    """Return how a convolution is computed, as a constant of conv_indirect.pxd.

    It depends on the level (VBYTES), but not on the number of images: the result for an image
    never depends on the others in a batch. The forward pass and the weight gradient have the same
    algorithm.
    """
    cdef dim group_c = c // groups, taps = window.kh * window.kw
    cdef bint avx2 = VBYTES == 32 and itemsize == 4
    cdef dim half = VBYTES // (2 * itemsize)        # channels that fill half a vector
    if c == groups and co == groups and groups > 1:
        return DEPTHWISE
    if itemsize == 4 and (request == "winograd" or (
            request == "auto" and fits_winograd(window, groups) and winograd_pays(c, co, oh, ow))):
        return WINOGRAD
    # Few channels are at most half a vector; with AVX2 in float32 a whole one, where for col2im
    # there are so many filters that the products take more time than adding up.
    if input_gradient:                  # 1x1 windows do not overlap: there is nothing to add up
        if taps > 1 and (group_c <= half or (
                avx2 and group_c <= 2 * half and 2 * group_c <= co // groups)):
            return COL2IM
    elif (c == 1 and groups == 1 and window.sw == 1 and taps <= CHAIN
            and co <= MAX_FILTERS and co <= (2 * half if avx2 else half)):
        return ONE_CHANNEL
    return INDIRECT


cdef bint grantable(str request, Window window, dim groups) noexcept:
    """Return whether there is this request, and the window and groups can meet it."""
    return (request == "auto" or request == "direct"
            or (request == "winograd" and fits_winograd(window, groups)))


def takes_winograd(dim kh, dim kw, dim sh, dim sw, dim dh, dim dw, dim groups):
    """Return whether Winograd's algorithm computes a convolution with these settings."""
    return fits_winograd(Window(kh, kw, sh, sw, 0, 0, dh, dw), groups)


def algorithm(
    str pass_name,                      # one of PASSES
    dim c, dim co, dim oh, dim ow, dim kh, dim kw,
    dim sh, dim sw, dim top, dim left, dim dh, dim dw, dim groups,
    str request="auto",                 # "auto", "direct" (not Winograd's algorithm) or "winograd"
    dim itemsize=4,                     # bytes of a number: 4 or 8
):
    """Return the name of the algorithm that computes one pass of a convolution.

    ``c`` channels, ``co`` filters and an output of ``oh`` by ``ow`` pixels are those of the
    forward pass, whatever pass is asked for.
    """
    cdef Window window = Window(kh, kw, sh, sw, top, left, dh, dw)
    if (not usable(window) or groups < 1 or pass_name not in PASSES
            or not grantable(request, window, groups)):
        raise ValueError("there is no such pass of a convolution")
    return ALGORITHMS[choose(pass_name == "backward_input", c, co, oh, ow, window, groups, request,
                             itemsize)]


cdef bint belong(
    const dim* x, const dim* weight, const dim* y, Window window, dim groups, str request,
) noexcept:
    """Return whether the shapes of x, weight and y can be those of one convolution."""
    return (usable(window) and 1 <= groups <= weight[3] and x[0] == y[0] and y[3] == weight[3]
            and weight[3] % groups == 0 and x[3] == weight[2] * groups
            and grantable(request, window, groups))


cdef int conv_forward(
    const real* x, dim n, dim h, dim w, dim c, const real* weight, const real* bias,
    real* y, dim oh, dim ow, dim co, Window window, dim groups, str request, bint relu,
) except -1:
    """Do the work of `conv2d_forward`, where there are pixels; bias may be NULL."""
    cdef int chosen = choose(False, c, co, oh, ow, window, groups, request, sizeof(real))
    if chosen != WINOGRAD:
        indirect_forward(chosen, x, n, h, w, c, weight, bias, y, oh, ow, co, window, groups, relu)
    elif real is float:
        winograd_forward(x, n, h, w, c, weight, False, NULL, bias, NULL, NULL, relu, y, oh, ow, co,
                         window.top, window.left)
    return 0


cdef int conv_backward_input(
    const real* dy, dim n, dim oh, dim ow, dim co, const real* weight,
    real* dx, dim h, dim w, dim c, Window window, dim groups, str request,
    const real* drelu, const real* residual,
) except -1:
    """Do the work of `conv2d_backward_input`, where there are pixels; the last two may be NULL."""
    cdef int chosen = choose(True, c, co, oh, ow, window, groups, request, sizeof(real))
    cdef const real* early = NULL if residual != NULL else drelu
    cdef bint accumulate = residual == dx
    cdef real* sum = dx
    cdef Buffer apart
    if chosen == WINOGRAD:
        if real is float:
            winograd_forward(dy, n, oh, ow, co, weight, True, NULL, NULL, residual, drelu, False,
                             dx, h, w, c, 2 - window.top, 2 - window.left)
        return 0                        # its last step added the residual
    if accumulate and chosen == INDIRECT and window.kh * window.kw * co // groups <= KC:
        indirect_backward_input(chosen, dy, n, oh, ow, co, weight, dx, h, w, c, window, groups,
                                drelu, True)
        return 0
    if accumulate:
        apart = Buffer(<double> n * h * w * c * sizeof(real))
        dx = <real*> apart.memory
    if chosen == COL2IM:
        col2im_backward_input(dy, n, oh, ow, co, weight, dx, h, w, c, window, groups, early)
    else:
        indirect_backward_input(chosen, dy, n, oh, ow, co, weight, dx, h, w, c, window, groups,
                                early, False)
    if residual != NULL:
        with nogil:
            add_all(dx, residual, drelu, False, sum, n * h * w * c)
    return 0


cdef int conv_backward_weight(
    const real* x, dim n, dim h, dim w, dim c, const real* dy, dim oh, dim ow, dim co,
    real* dweight, real* dbias, Window window, dim groups, str request,
) except -1:
    """Do the work of `conv2d_backward_weight`, where there are pixels; dbias may be NULL."""
    cdef int chosen = choose(False, c, co, oh, ow, window, groups, request, sizeof(real))
    if chosen != WINOGRAD:
        indirect_backward_weight(chosen, x, n, h, w, c, dy, oh, ow, co, dweight, dbias, window,
                                 groups)
    elif real is float:
        winograd_backward_weight(x, n, h, w, c, dy, oh, ow, co, dweight, dbias, window.top,
                                 window.left)
    return 0


def conv2d_forward(
    const real[:, :, :, ::1] x,         # in   (n, h, w, c)
    const real[:, :, :, ::1] weight,    # in   (kh, kw, c / groups, co)
    const real[::1] bias,               # in   (co,), or None
    real[:, :, :, ::1] y,               # out  (n, oh, ow, co)
    dim sh, dim sw, dim top, dim left, dim dh, dim dw, dim groups,
    str request="auto",                 # "auto", "direct" (not Winograd's algorithm) or "winograd"
    bint relu=False,                    # in the end, turn negative results into 0
):
    """Write the convolution of ``x`` with ``weight``, plus ``bias``, to ``y``."""
    cdef FloatMode _mode = flush_denormals()
    cdef Window window = Window(weight.shape[0], weight.shape[1], sh, sw, top, left, dh, dw)
    cdef dim n = x.shape[0], h = x.shape[1], w = x.shape[2], c = x.shape[3]
    cdef dim oh = y.shape[1], ow = y.shape[2], co = y.shape[3]
    cdef const real* bias_at = NULL
    if (not belong(&x.shape[0], &weight.shape[0], &y.shape[0], window, groups, request)
            or (bias is not None and bias.shape[0] != co)):
        raise ValueError("x, weight, bias, y and the window do not belong to one convolution")
    need_reach(window, oh, ow)
    if min(n, oh, ow) == 0:
        return
    if min(h, w, c) == 0:
        raise ValueError("x has no pixels or no channels")
    if bias is not None:
        bias_at = &bias[0]
    conv_forward(&x[0, 0, 0, 0], n, h, w, c, &weight[0, 0, 0, 0], bias_at,
                 &y[0, 0, 0, 0], oh, ow, co, window, groups, request, relu)


def transformed_length(dim c, dim co):
    """Return how many floats `transform_weight` writes for ``c`` channels and ``co`` filters."""
    return winograd_length(c, co)


def transform_weight(
    const float[:, :, :, ::1] weight,   # in   (3, 3, c, co)
    float[::1] transformed,             # out  (transformed_length(c, co),)
):
    """Write the weight as Winograd's algorithm multiplies by it, for `conv2d_transformed`."""
    cdef dim c = weight.shape[2], co = weight.shape[3], i
    if (weight.shape[0] != 3 or weight.shape[1] != 3 or min(c, co) == 0
            or transformed.shape[0] != winograd_length(c, co)):
        raise ValueError("weight and transformed do not belong to one convolution")
    with nogil:
        for i in range(c):
            transform_weights(&weight[0, 0, 0, 0], i, c, co, &transformed[0])


def conv2d_transformed(
    const float[:, :, :, ::1] x,        # in   (n, h, w, c)
    const float[::1] transformed,       # in   of `transform_weight`
    const float[::1] bias,              # in   (co,), or None
    float[:, :, :, ::1] y,              # out  (n, oh, ow, co)
    dim top, dim left,
    bint relu=False,                    # in the end, turn negative results into 0
):
    """Do what `conv2d_forward` does with ``request="winograd"``, with the same bits.

    For weights that do not change: their transformation takes most of the time for a small image.
    """
    cdef FloatMode _mode = flush_denormals()
    cdef dim n = x.shape[0], h = x.shape[1], w = x.shape[2], c = x.shape[3]
    cdef dim oh = y.shape[1], ow = y.shape[2], co = y.shape[3]
    if (y.shape[0] != n or (bias is not None and bias.shape[0] != co) or min(h, w, c, co) == 0
            or transformed.shape[0] != winograd_length(c, co)
            or not usable(Window(3, 3, 1, 1, top, left, 1, 1))):
        raise ValueError("x, transformed, bias, y and the padding do not belong to one convolution")
    if min(n, oh, ow) > 0:
        winograd_forward(&x[0, 0, 0, 0], n, h, w, c, NULL, False, &transformed[0],
                         NULL if bias is None else &bias[0], NULL, NULL, relu,
                         &y[0, 0, 0, 0], oh, ow, co, top, left)


def conv2d_backward_input(
    const real[:, :, :, ::1] dy,        # in   (n, oh, ow, co)
    const real[:, :, :, ::1] weight,    # in   (kh, kw, c / groups, co)
    real[:, :, :, ::1] dx,              # out  (n, h, w, c), overwritten
    dim sh, dim sw, dim top, dim left, dim dh, dim dw, dim groups,
    str request="auto",                 # "auto", "direct" (not Winograd's algorithm) or "winograd"
    const real[:, :, :, ::1] drelu=None,        # in   (n, h, w, c), dx = 0 where drelu <= 0 or NaN
    const real[:, :, :, ::1] residual=None,     # in   (n, h, w, c), added to dx before that; or dx
    #                                     itself, if that is 0 already where drelu <= 0 or NaN
):
    """Write the gradient of ``conv2d_forward`` with respect to ``x`` to ``dx``."""
    cdef FloatMode _mode = flush_denormals()
    cdef Window window = Window(weight.shape[0], weight.shape[1], sh, sw, top, left, dh, dw)
    cdef dim n = dx.shape[0], h = dx.shape[1], w = dx.shape[2], c = dx.shape[3]
    cdef dim oh = dy.shape[1], ow = dy.shape[2], co = dy.shape[3]
    cdef const real* drelu_at = NULL
    cdef const real* residual_at = NULL
    if (not belong(&dx.shape[0], &weight.shape[0], &dy.shape[0], window, groups, request)
            or (drelu is not None and not same_shape(&drelu.shape[0], &dx.shape[0], 4))
            or (residual is not None and not same_shape(&residual.shape[0], &dx.shape[0], 4))):
        raise ValueError(
            "dy, weight, dx, drelu, residual and the window do not belong to one convolution")
    need_reach(window, oh, ow)
    if min(n, h, w, c) == 0:
        return
    if drelu is not None:
        drelu_at = &drelu[0, 0, 0, 0]
    if residual is not None:
        residual_at = &residual[0, 0, 0, 0]
    if min(oh, ow) > 0:
        conv_backward_input(&dy[0, 0, 0, 0], n, oh, ow, co, &weight[0, 0, 0, 0],
                            &dx[0, 0, 0, 0], h, w, c, window, groups, request, drelu_at,
                            residual_at)
        return
    if residual_at == &dx[0, 0, 0, 0]:
        return
    dx[...] = 0
    if residual_at != NULL:
        with nogil:
            add_all(&dx[0, 0, 0, 0], residual_at, drelu_at, False, &dx[0, 0, 0, 0], n * h * w * c)


def conv2d_backward_weight(
    const real[:, :, :, ::1] x,         # in   (n, h, w, c)
    const real[:, :, :, ::1] dy,        # in   (n, oh, ow, co)
    real[:, :, :, ::1] dweight,         # out  (kh, kw, c / groups, co), added to
    real[::1] dbias,                    # out  (co,), added to; or None
    dim sh, dim sw, dim top, dim left, dim dh, dim dw, dim groups,
    str request="auto",                 # "auto", "direct" (not Winograd's algorithm) or "winograd"
):
    """Add the gradients of ``conv2d_forward`` with respect to ``weight`` and ``bias``."""
    cdef FloatMode _mode = flush_denormals()
    cdef Window window = Window(dweight.shape[0], dweight.shape[1], sh, sw, top, left, dh, dw)
    cdef dim n = x.shape[0], h = x.shape[1], w = x.shape[2], c = x.shape[3]
    cdef dim oh = dy.shape[1], ow = dy.shape[2], co = dy.shape[3]
    cdef real* dbias_at = NULL
    if (not belong(&x.shape[0], &dweight.shape[0], &dy.shape[0], window, groups, request)
            or (dbias is not None and dbias.shape[0] != co)):
        raise ValueError("x, dy, dweight, dbias and the window do not belong to one convolution")
    need_reach(window, oh, ow)
    if min(n, oh, ow, h, w, c) == 0:
        return
    if dbias is not None:
        dbias_at = &dbias[0]
    conv_backward_weight(&x[0, 0, 0, 0], n, h, w, c, &dy[0, 0, 0, 0], oh, ow, co,
                         &dweight[0, 0, 0, 0], dbias_at, window, groups, request)
