"""Twins of pooling."""

from __future__ import annotations

import numpy as np

from ._types import Array, Pair, Sides
from ._window import pad, windows


def max_pool2d(x: Array, kernel: Pair, stride: Pair, padding: Sides = (0, 0, 0, 0)) -> Array:
    """Return the largest value of each window."""
    return windows(pad(x, padding, -np.inf), kernel, stride).max(axis=(4, 5))


def avg_pool2d(
    x: Array,
    kernel: Pair,
    stride: Pair,
    padding: Sides = (0, 0, 0, 0),
    count_include_pad: bool = False,
) -> Array:
    """Return the mean of each window."""
    total = windows(pad(x, padding), kernel, stride).sum(axis=(4, 5))
    counted = np.ones_like(x)
    count = windows(pad(counted, padding, float(count_include_pad)), kernel, stride)
    return total / count.sum(axis=(4, 5))


def global_avg_pool2d(x: Array) -> Array:
    """Return the mean of each channel, ``(n, c)``."""
    return x.mean(axis=(2, 3))
