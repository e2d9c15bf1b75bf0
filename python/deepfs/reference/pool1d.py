"""NumPy references of pooling of sequences: images of height 1."""

from __future__ import annotations

from ._types import Array, Pair
from .pool import avg_pool2d, avg_pool2d_backward, max_pool2d, max_pool2d_backward


def max_pool1d(x: Array, kernel: int, stride: int, padding: Pair = (0, 0)) -> Array:
    """Return the largest value of each window."""
    return max_pool2d(x[:, :, None], (1, kernel), (1, stride), (0, 0, *padding))[:, :, 0]


def max_pool1d_backward(
    x: Array, dy: Array, kernel: int, stride: int, padding: Pair = (0, 0)
) -> Array:
    """Return dx: each dy goes to the first of the largest values of its window, or the last NaN."""
    window = ((1, kernel), (1, stride), (0, 0, *padding))
    return max_pool2d_backward(x[:, :, None], dy[:, :, None], *window)[:, :, 0]


def avg_pool1d(
    x: Array, kernel: int, stride: int, padding: Pair = (0, 0), count_include_pad: bool = False
) -> Array:
    """Return the mean of each window."""
    window = ((1, kernel), (1, stride), (0, 0, *padding), count_include_pad)
    return avg_pool2d(x[:, :, None], *window)[:, :, 0]


def avg_pool1d_backward(
    x: Array,
    dy: Array,
    kernel: int,
    stride: int,
    padding: Pair = (0, 0),
    count_include_pad: bool = False,
) -> Array:
    """Return dx: each entry of a window gets an equal share of its dy."""
    window = ((1, kernel), (1, stride), (0, 0, *padding), count_include_pad)
    return avg_pool2d_backward(x[:, :, None], dy[:, :, None], *window)[:, :, 0]
