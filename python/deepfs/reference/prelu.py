"""NumPy reference of `deepfs.layers.PReLU`."""

from __future__ import annotations

import numpy as np

from ._types import Array


def prelu(x: Array, slope: Array) -> Array:
    """Return x where x > 0, else slope x; one slope for each channel, or one."""
    return np.where(x > 0, x, _of_channels(slope, x) * x)


def prelu_backward(x: Array, dy: Array, slope: Array) -> tuple[Array, Array]:
    """Return the gradients of x and of the slope."""
    others = tuple(axis for axis in range(x.ndim) if axis != 1 or len(slope) == 1)
    dslope = np.where(x > 0, 0, x * dy).sum(axis=others)
    return np.where(x > 0, dy, _of_channels(slope, x) * dy), dslope.reshape(slope.shape)


def _of_channels(slope: Array, x: Array) -> Array:
    return slope if len(slope) == 1 else slope.reshape(-1, *[1] * (x.ndim - 2))
