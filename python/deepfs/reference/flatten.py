"""NumPy reference of `deepfs.layers.Flatten`."""

from __future__ import annotations

import math

from ._types import Array


def flatten(x: Array) -> Array:
    """Return each sample as one row."""
    return x.reshape(len(x), math.prod(x.shape[1:]))


def flatten_backward(x: Array, dy: Array) -> Array:
    """Return dx: the rows in the shape of x."""
    return dy.reshape(x.shape)
