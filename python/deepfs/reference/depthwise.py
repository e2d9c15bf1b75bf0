"""NumPy reference of `deepfs.layers.DepthwiseConv2D`: a convolution with a group per channel."""

from __future__ import annotations

from ._types import Array, Pair, Sides
from .conv import conv2d, conv2d_backward


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
