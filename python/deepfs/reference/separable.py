"""NumPy reference of `deepfs.layers.SeparableConv2D`: depthwise, then 1x1."""

from __future__ import annotations

import numpy as np

from ._types import Array, Pair, Sides
from .conv import conv2d, conv2d_backward
from .depthwise import depthwise_conv2d, depthwise_conv2d_backward


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
