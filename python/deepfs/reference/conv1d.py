"""NumPy reference of `deepfs.layers.Conv1D`."""

from __future__ import annotations

from ._types import Array, Pair
from .conv import conv2d, conv2d_backward


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
