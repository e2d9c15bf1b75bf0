"""NumPy references of pooling over whole sequences, or a given number of windows."""

from __future__ import annotations

import numpy as np

from ._types import Array
from .global_pool import adaptive_avg_pool2d, adaptive_avg_pool2d_backward
from .pool1d import max_pool1d_backward


def global_avg_pool1d(x: Array) -> Array:
    """Return the mean of each channel, ``(n, c)``."""
    return x.mean(axis=2)


def global_avg_pool1d_backward(x: Array, dy: Array) -> Array:
    """Return dx: an equal share for every entry."""
    return np.ones_like(x) * dy[:, :, None] / x.shape[2]


def global_max_pool1d(x: Array) -> Array:
    """Return the largest value of each channel, ``(n, c)``."""
    return x.max(axis=2)


def global_max_pool1d_backward(x: Array, dy: Array) -> Array:
    """Return dx: all of dy for the first of the largest values, or the last NaN."""
    return max_pool1d_backward(x, dy[:, :, None], x.shape[2], 1)


def adaptive_avg_pool1d(x: Array, output_size: int) -> Array:
    """Return the means of windows that share out the sequence."""
    return adaptive_avg_pool2d(x[:, :, None], (1, output_size))[:, :, 0]


def adaptive_avg_pool1d_backward(x: Array, dy: Array) -> Array:
    """Return dx: each entry of a window gets an equal share of its dy."""
    return adaptive_avg_pool2d_backward(x[:, :, None], dy[:, :, None])[:, :, 0]
