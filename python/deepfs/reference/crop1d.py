"""NumPy references of `deepfs.layers.Crop1D`."""

from __future__ import annotations

import numpy as np

from ._types import Array, Pair


def crop1d(x: Array, cropping: Pair) -> Array:
    """Return sequences without entries at their ends."""
    return x[:, :, cropping[0] : x.shape[2] - cropping[1]]


def crop1d_backward(x: Array, dy: Array, cropping: Pair) -> Array:
    """Return dx: dy between zeros."""
    return np.pad(dy, ((0, 0), (0, 0), cropping))
