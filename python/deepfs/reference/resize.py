"""NumPy reference of `deepfs.layers.Resize2D`."""

from __future__ import annotations

import numpy as np

from ._types import Array, Pair


def resize2d(x: Array, size: Pair, method: str = "bilinear") -> Array:
    """Return images of another size."""
    rows, columns = _weights(x.shape[2], size[0], method), _weights(x.shape[3], size[1], method)
    return rows @ x @ columns.T


def resize2d_backward(x: Array, dy: Array, method: str = "bilinear") -> Array:
    """Return dx: the weights, transposed."""
    rows = _weights(x.shape[2], dy.shape[2], method)
    columns = _weights(x.shape[3], dy.shape[3], method)
    return rows.T @ dy @ columns


def _weights(size: int, out: int, method: str) -> Array:
    """Return the weight of each of ``size`` pixels in each of ``out``, ``(out, size)``."""
    centres = (np.arange(out) + 0.5) * size / out
    if method == "nearest":
        return (np.floor(centres)[:, None] == np.arange(size)).astype(np.float64)
    s = np.clip(centres - 0.5, 0, size - 1)
    return np.maximum(0, 1 - abs(s[:, None] - np.arange(size)))
