"""Twins of convolution, in all its forms."""

from __future__ import annotations

import numpy as np

from ._types import Array, Pair, Sides
from ._window import pad, windows


def conv2d(
    x: Array,
    weight: Array,
    bias: Array,
    stride: Pair = (1, 1),
    padding: Sides = (0, 0, 0, 0),
    dilation: Pair = (1, 1),
    groups: int = 1,
) -> Array:
    """Return the cross-correlation with ``weight`` (co, c/groups, kh, kw)."""
    seen = _grouped_windows(x, weight, stride, padding, dilation, groups)
    filters = weight.reshape(groups, -1, *weight.shape[1:])
    y = np.einsum("ngcijab,gocab->ngoij", seen, filters)
    return y.reshape(len(x), len(weight), *y.shape[3:]) + bias[:, None, None]


def conv2d_backward(
    x: Array,
    weight: Array,
    dy: Array,
    stride: Pair = (1, 1),
    padding: Sides = (0, 0, 0, 0),
    dilation: Pair = (1, 1),
    groups: int = 1,
) -> tuple[Array, Array, Array]:
    """Return dx, dweight, dbias."""
    dx = _spread(dy, weight, x.shape[2:], stride, padding, dilation, groups)
    seen = _grouped_windows(x, weight, stride, padding, dilation, groups)
    grouped = dy.reshape(len(dy), groups, dy.shape[1] // groups, *dy.shape[2:])
    dweight = np.einsum("ngcijab,ngoij->gocab", seen, grouped).reshape(weight.shape)
    return dx, dweight, dy.sum(axis=(0, 2, 3))


def _grouped_windows(
    x: Array, weight: Array, stride: Pair, padding: Sides, dilation: Pair, groups: int
) -> Array:
    """Return all windows of images, ``(n, groups, c/groups, oh, ow, kh, kw)``."""
    seen = windows(pad(x, padding), weight.shape[2:], stride, dilation)
    return seen.reshape(len(x), groups, weight.shape[1], *seen.shape[2:])


def _spread(
    x: Array,
    weight: Array,
    image: tuple[int, ...],
    stride: Pair,
    padding: Sides,
    dilation: Pair,
    groups: int,
) -> Array:
    """Return images in which every pixel of x adds its weighted window: the adjoint of conv2d."""
    (n, c, h, w), (top, bottom, left, right) = x.shape, padding
    x = x.reshape(n, groups, c // groups, h, w)
    filters = weight.reshape(groups, c // groups, *weight.shape[1:])
    high, wide = image[0] + top + bottom, image[1] + left + right
    y = np.zeros((n, groups, weight.shape[1], high, wide), x.dtype)
    for a, b in np.ndindex(*weight.shape[2:]):
        rows = slice(a * dilation[0], a * dilation[0] + (h - 1) * stride[0] + 1, stride[0])
        columns = slice(b * dilation[1], b * dilation[1] + (w - 1) * stride[1] + 1, stride[1])
        y[..., rows, columns] += np.einsum("ngchw,gco->ngohw", x, filters[..., a, b])
    joined = y.reshape(n, groups * weight.shape[1], high, wide)
    return joined[:, :, top : high - bottom, left : wide - right]


def conv_transpose2d(
    x: Array,
    weight: Array,
    bias: Array,
    stride: Pair = (1, 1),
    padding: Sides = (0, 0, 0, 0),
    dilation: Pair = (1, 1),
    groups: int = 1,
    output_padding: Pair = (0, 0),
) -> Array:
    """Return what conv2d with ``weight`` (c, co/groups, kh, kw) has as gradient, plus a bias."""
    image = tuple(
        (x.shape[2 + k] - 1) * stride[k] - sum(padding[2 * k : 2 * k + 2])
        + dilation[k] * (weight.shape[2 + k] - 1) + 1 + output_padding[k]
        for k in (0, 1)
    )  # fmt: skip
    return _spread(x, weight, image, stride, padding, dilation, groups) + bias[:, None, None]


def conv_transpose2d_backward(
    x: Array,
    weight: Array,
    dy: Array,
    stride: Pair = (1, 1),
    padding: Sides = (0, 0, 0, 0),
    dilation: Pair = (1, 1),
    groups: int = 1,
) -> tuple[Array, Array, Array]:
    """Return dx, dweight, dbias: x and dy have changed places."""
    seen = _grouped_windows(dy, weight, stride, padding, dilation, groups)
    seen = seen[:, :, :, : x.shape[2], : x.shape[3]]  # output_padding may have room for one more
    filters = weight.reshape(groups, -1, *weight.shape[1:])
    dx = np.einsum("ngoijab,gcoab->ngcij", seen, filters).reshape(x.shape)
    grouped = x.reshape(len(x), groups, x.shape[1] // groups, *x.shape[2:])
    dweight = np.einsum("ngoijab,ngcij->gcoab", seen, grouped).reshape(weight.shape)
    return dx, dweight, dy.sum(axis=(0, 2, 3))


def conv1d(
    x: Array,
    weight: Array,
    bias: Array,
    stride: int = 1,
    padding: Pair = (0, 0),
    dilation: int = 1,
    groups: int = 1,
) -> Array:
    """Return the cross-correlation of sequences (n, c, length) with (co, c/groups, k)."""
    window = ((1, stride), (0, 0, *padding), (1, dilation), groups)
    return conv2d(x[:, :, None], weight[:, :, None], bias, *window)[:, :, 0]


def conv1d_backward(
    x: Array,
    weight: Array,
    dy: Array,
    stride: int = 1,
    padding: Pair = (0, 0),
    dilation: int = 1,
    groups: int = 1,
) -> tuple[Array, Array, Array]:
    """Return dx, dweight, dbias."""
    window = ((1, stride), (0, 0, *padding), (1, dilation), groups)
    dx, dweight, dbias = conv2d_backward(x[:, :, None], weight[:, :, None], dy[:, :, None], *window)
    return dx[:, :, 0], dweight[:, :, 0], dbias


def depthwise_conv2d(
    x: Array,
    weight: Array,
    bias: Array,
    stride: Pair = (1, 1),
    padding: Sides = (0, 0, 0, 0),
    dilation: Pair = (1, 1),
) -> Array:
    """Return each channel convolved with its own filters, weight (c * multiplier, 1, kh, kw)."""
    return conv2d(x, weight, bias, stride, padding, dilation, x.shape[1])


def depthwise_conv2d_backward(
    x: Array,
    weight: Array,
    dy: Array,
    stride: Pair = (1, 1),
    padding: Sides = (0, 0, 0, 0),
    dilation: Pair = (1, 1),
) -> tuple[Array, Array, Array]:
    """Return dx, dweight, dbias."""
    return conv2d_backward(x, weight, dy, stride, padding, dilation, x.shape[1])


def separable_conv2d(
    x: Array,
    depthwise_weight: Array,
    pointwise_weight: Array,
    bias: Array,
    stride: Pair = (1, 1),
    padding: Sides = (0, 0, 0, 0),
    dilation: Pair = (1, 1),
) -> Array:
    """Return depthwise, then 1x1 convolution."""
    none = np.zeros(len(depthwise_weight), x.dtype)
    between = depthwise_conv2d(x, depthwise_weight, none, stride, padding, dilation)
    return conv2d(between, pointwise_weight, bias)


def separable_conv2d_backward(
    x: Array,
    depthwise_weight: Array,
    pointwise_weight: Array,
    dy: Array,
    stride: Pair = (1, 1),
    padding: Sides = (0, 0, 0, 0),
    dilation: Pair = (1, 1),
) -> tuple[Array, Array, Array, Array]:
    """Return dx, and the gradients of both weights and of the bias."""
    none, window = np.zeros(len(depthwise_weight), x.dtype), (stride, padding, dilation)
    between = depthwise_conv2d(x, depthwise_weight, none, *window)
    dbetween, dpointwise, dbias = conv2d_backward(between, pointwise_weight, dy)
    dx, ddepthwise, _ = depthwise_conv2d_backward(x, depthwise_weight, dbetween, *window)
    return dx, ddepthwise, dpointwise, dbias
