"""NumPy references of `deepfs.layers.Crop2D`."""

from __future__ import annotations

import numpy as np

from ._types import Array, Sides


def crop2d(x: Array, cropping: Sides) -> Array:
    """Return images without rows and columns of their border."""
    top, bottom, left, right = cropping
    return x[:, :, top : x.shape[2] - bottom, left : x.shape[3] - right]


def crop2d_backward(x: Array, dy: Array, cropping: Sides) -> Array:
    """Return dx: dy, surrounded by zeros."""
    top, bottom, left, right = cropping
    return np.pad(dy, ((0, 0), (0, 0), (top, bottom), (left, right)))
