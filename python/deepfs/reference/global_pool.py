"""NumPy references of pooling over whole images, or a given number of windows."""

from __future__ import annotations

import numpy as np

from ._types import Array, Pair
from .pool import max_pool2d_backward


def global_avg_pool2d(x: Array) -> Array:
    """Return the mean of each channel, ``(n, c)``."""
    return x.mean(axis=(2, 3))


def global_avg_pool2d_backward(x: Array, dy: Array) -> Array:
    """Return dx: an equal share for every pixel."""
    return np.ones_like(x) * dy[:, :, None, None] / (x.shape[2] * x.shape[3])


def global_max_pool2d(x: Array) -> Array:
    """Return the largest value of each channel, ``(n, c)``."""
    return x.max(axis=(2, 3))


def global_max_pool2d_backward(x: Array, dy: Array) -> Array:
    """Return dx: all of dy for the first of the largest values, or the last NaN."""
    return max_pool2d_backward(x, dy[:, :, None, None], (x.shape[2], x.shape[3]), (1, 1))


def adaptive_avg_pool2d(x: Array, output_size: Pair) -> Array:
    """Return the means of windows that share out the image."""
    y = np.empty((*x.shape[:2], *output_size), x.dtype)
    for i, j in np.ndindex(*output_size):
        rows, columns = _part(i, x.shape[2], output_size[0]), _part(j, x.shape[3], output_size[1])
        y[:, :, i, j] = x[:, :, rows, columns].mean(axis=(2, 3))
    return y


def adaptive_avg_pool2d_backward(x: Array, dy: Array) -> Array:
    """Return dx: each pixel of a window gets an equal share of its dy."""
    dx = np.zeros_like(x)
    for i, j in np.ndindex(dy.shape[2:]):
        window = dx[:, :, _part(i, x.shape[2], dy.shape[2]), _part(j, x.shape[3], dy.shape[3])]
        window += dy[:, :, i, j, None, None] / (window.shape[2] * window.shape[3])
    return dx


def _part(i: int, size: int, count: int) -> slice:
    """Return pixels floor(i size / count) to ceil((i + 1) size / count)."""
    return slice(i * size // count, -(-(i + 1) * size // count))
