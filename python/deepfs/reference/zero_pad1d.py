"""NumPy reference of `deepfs.layers.ZeroPad1D`."""

from __future__ import annotations

import numpy as np

from ._types import Array, Pair


def zero_pad1d(x: Array, padding: Pair) -> Array:
    """Return sequences with zeros at both ends."""
    return np.pad(x, ((0, 0), (0, 0), padding))


def zero_pad1d_backward(x: Array, dy: Array, padding: Pair) -> Array:
    """Return dx: the part of dy between the zeros."""
    return dy[:, :, padding[0] : padding[0] + x.shape[2]]
