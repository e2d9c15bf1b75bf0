"""NumPy reference of `deepfs.layers.Upsample1D`."""

from __future__ import annotations

import numpy as np

from ._types import Array


def upsample1d(x: Array, factor: int) -> Array:
    """Return sequences with each entry repeated."""
    return x.repeat(factor, axis=2)


def upsample1d_backward(x: Array, dy: Array, factor: int) -> Array:
    """Return dx: the sum of dy over the copies of an entry."""
    return np.sum(dy.reshape(*x.shape, factor), axis=3)
