"""NumPy reference of `deepfs.layers.Upsample2D`."""

from __future__ import annotations

import numpy as np

from ._types import Array, Pair


def upsample2d(x: Array, factor: Pair) -> Array:
    """Return images with each row and each column repeated."""
    return x.repeat(factor[0], axis=2).repeat(factor[1], axis=3)


def upsample2d_backward(x: Array, dy: Array, factor: Pair) -> Array:
    """Return dx: the sum of dy over the copies of a pixel."""
    n, c, h, w = x.shape
    return np.sum(dy.reshape(n, c, h, factor[0], w, factor[1]), axis=(3, 5))
