"""NumPy references of pooling of sequences: images of height 1."""

from __future__ import annotations

from typing import Any

from ._types import Array, Pair
from .pool import (
    avg_pool2d,
    avg_pool2d_backward,
    max_pool2d,
    max_pool2d_backward,
    max_pool2d_indices,
)


def max_pool1d(
    x: Array, kernel: int, stride: int, padding: Pair = (0, 0), dilation: int = 1
) -> Array:
    """Return the largest value of each window."""
    window = (*_window(kernel, stride, padding), (1, dilation))
    return max_pool2d(x[:, :, None], *window)[:, :, 0]


def max_pool1d_indices(
    x: Array, length: int, kernel: int, stride: int, padding: Pair = (0, 0), dilation: int = 1
) -> Array:
    """Return the indices of the first of the largest values of each window, or of the last NaN."""
    window = (*_window(kernel, stride, padding), (1, dilation))
    return max_pool2d_indices(x[:, :, None], (1, length), *window)[:, :, 0]


def max_pool1d_backward(
    x: Array, dy: Array, kernel: int, stride: int, padding: Pair = (0, 0), dilation: int = 1
) -> Array:
    """Return dx: each dy goes to the first of the largest values of its window, or the last NaN."""
    window = (*_window(kernel, stride, padding), (1, dilation))
    return max_pool2d_backward(x[:, :, None], dy[:, :, None], *window)[:, :, 0]


def avg_pool1d(
    x: Array,
    kernel: int,
    stride: int,
    padding: Pair = (0, 0),
    count_include_pad: bool = False,
    dilation: int = 1,
) -> Array:
    """Return the mean of each window."""
    window = (*_window(kernel, stride, padding), count_include_pad, (1, dilation))
    return avg_pool2d(x[:, :, None], *window)[:, :, 0]


def avg_pool1d_backward(
    x: Array,
    dy: Array,
    kernel: int,
    stride: int,
    padding: Pair = (0, 0),
    count_include_pad: bool = False,
    dilation: int = 1,
) -> Array:
    """Return dx: each entry of a window gets an equal share of its dy."""
    window = (*_window(kernel, stride, padding), count_include_pad, (1, dilation))
    return avg_pool2d_backward(x[:, :, None], dy[:, :, None], *window)[:, :, 0]


def _window(kernel: int, stride: int, padding: Pair) -> tuple[Any, ...]:
    """Return the settings of a window over an image of height 1."""
    return (1, kernel), (1, stride), (0, 0, *padding)
