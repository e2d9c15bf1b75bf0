"""NumPy references of pooling."""

from __future__ import annotations

import numpy as np

from ._types import Array, Pair, Sides
from ._window import pad, windows


def max_pool2d(
    x: Array,
    kernel: Pair,
    stride: Pair,
    padding: Sides = (0, 0, 0, 0),
    dilation: Pair = (1, 1),
) -> Array:
    """Return the largest value of each window."""
    return windows(pad(x, padding, -np.inf), kernel, stride, dilation).max(axis=(4, 5))


def max_pool2d_indices(
    x: Array,
    out: Pair,
    kernel: Pair,
    stride: Pair,
    padding: Sides = (0, 0, 0, 0),
    dilation: Pair = (1, 1),
) -> Array:
    """Return the indices of the first of the largest values of each window, or of the last NaN."""
    h, w = x.shape[2:]
    indices = np.empty((*x.shape[:2], *out), np.int64)
    for n, c, i, j in np.ndindex(indices.shape):
        top, left = i * stride[0] - padding[0], j * stride[1] - padding[2]
        rows = [a for a in range(top, top + dilation[0] * kernel[0], dilation[0]) if 0 <= a < h]
        columns = [
            b for b in range(left, left + dilation[1] * kernel[1], dilation[1]) if 0 <= b < w
        ]
        best = rows[0], columns[0]
        for a in rows:
            for b in columns:
                if x[n, c, a, b] > x[n, c, *best] or np.isnan(x[n, c, a, b]):
                    best = a, b
        indices[n, c, i, j] = best[0] * w + best[1]
    return indices


def max_pool2d_backward(
    x: Array,
    dy: Array,
    kernel: Pair,
    stride: Pair,
    padding: Sides = (0, 0, 0, 0),
    dilation: Pair = (1, 1),
) -> Array:
    """Return dx: each dy goes to the first of the largest values of its window, or the last NaN."""
    dx = np.zeros_like(x)
    indices = max_pool2d_indices(x, dy.shape[2:], kernel, stride, padding, dilation)
    for n, c, i, j in np.ndindex(dy.shape):
        dx[n, c].flat[indices[n, c, i, j]] += dy[n, c, i, j]
    return dx


def avg_pool2d(
    x: Array,
    kernel: Pair,
    stride: Pair,
    padding: Sides = (0, 0, 0, 0),
    count_include_pad: bool = False,
    dilation: Pair = (1, 1),
) -> Array:
    """Return the mean of each window."""
    total = windows(pad(x, padding), kernel, stride, dilation).sum(axis=(4, 5))
    return total / _counted(x, kernel, stride, padding, count_include_pad, dilation)


def avg_pool2d_backward(
    x: Array,
    dy: Array,
    kernel: Pair,
    stride: Pair,
    padding: Sides = (0, 0, 0, 0),
    count_include_pad: bool = False,
    dilation: Pair = (1, 1),
) -> Array:
    """Return dx: each pixel of a window gets an equal share of its dy."""
    top, _, left, _ = padding
    share = dy / _counted(x, kernel, stride, padding, count_include_pad, dilation)
    dx = np.zeros_like(pad(x, padding))
    for i, j, a, b in np.ndindex(*dy.shape[2:], *kernel):
        row, column = i * stride[0] + a * dilation[0], j * stride[1] + b * dilation[1]
        dx[:, :, row, column] += share[:, :, i, j]
    return dx[:, :, top : top + x.shape[2], left : left + x.shape[3]]


def _counted(
    x: Array, kernel: Pair, stride: Pair, padding: Sides, include_pad: bool, dilation: Pair
) -> Array:
    """Return the number of pixels by which the sum of each window is divided."""
    ones = pad(np.ones_like(x), padding, float(include_pad))
    return windows(ones, kernel, stride, dilation).sum(axis=(4, 5))
