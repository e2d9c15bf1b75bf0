"""NumPy references of pooling."""

from __future__ import annotations

import numpy as np

from ._types import Array, Pair, Sides
from ._window import pad, windows


def max_pool2d(x: Array, kernel: Pair, stride: Pair, padding: Sides = (0, 0, 0, 0)) -> Array:
    """Return the largest value of each window."""
    return windows(pad(x, padding, -np.inf), kernel, stride).max(axis=(4, 5))


def max_pool2d_backward(
    x: Array, dy: Array, kernel: Pair, stride: Pair, padding: Sides = (0, 0, 0, 0)
) -> Array:
    """Return dx: each dy goes to the first of the largest values of its window, or the last NaN."""
    (top, _, left, _), dx = padding, np.zeros_like(x)
    for n, c, i, j in np.ndindex(dy.shape):
        rows = range(max(0, i * stride[0] - top), min(x.shape[2], i * stride[0] - top + kernel[0]))
        columns = range(
            max(0, j * stride[1] - left), min(x.shape[3], j * stride[1] - left + kernel[1])
        )
        best = rows[0], columns[0]
        for a in rows:
            for b in columns:
                if x[n, c, a, b] > x[n, c, *best] or np.isnan(x[n, c, a, b]):
                    best = a, b
        dx[n, c, *best] += dy[n, c, i, j]
    return dx


def avg_pool2d(
    x: Array,
    kernel: Pair,
    stride: Pair,
    padding: Sides = (0, 0, 0, 0),
    count_include_pad: bool = False,
) -> Array:
    """Return the mean of each window."""
    total = windows(pad(x, padding), kernel, stride).sum(axis=(4, 5))
    return total / _counted(x, kernel, stride, padding, count_include_pad)


def avg_pool2d_backward(
    x: Array,
    dy: Array,
    kernel: Pair,
    stride: Pair,
    padding: Sides = (0, 0, 0, 0),
    count_include_pad: bool = False,
) -> Array:
    """Return dx: each pixel of a window gets an equal share of its dy."""
    top, _, left, _ = padding
    share = dy / _counted(x, kernel, stride, padding, count_include_pad)
    dx = np.zeros_like(pad(x, padding))
    for i, j in np.ndindex(dy.shape[2:]):
        a, b = i * stride[0], j * stride[1]
        dx[:, :, a : a + kernel[0], b : b + kernel[1]] += share[:, :, i, j, None, None]
    return dx[:, :, top : top + x.shape[2], left : left + x.shape[3]]


def _counted(x: Array, kernel: Pair, stride: Pair, padding: Sides, include_pad: bool) -> Array:
    """Return the number of pixels by which the sum of each window is divided."""
    ones = pad(np.ones_like(x), padding, float(include_pad))
    return windows(ones, kernel, stride).sum(axis=(4, 5))
