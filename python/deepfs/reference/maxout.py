"""NumPy reference of `deepfs.layers.Maxout`."""

from __future__ import annotations

import numpy as np

from ._types import Array


def maxout(x: Array, pieces: int) -> Array:
    """Return the largest of every few numbers along the second axis."""
    return np.stack([part.max(axis=1) for part in _groups(x, pieces)], axis=1)


def maxout_backward(x: Array, dy: Array, pieces: int) -> Array:
    """Return dy at the first largest number of each group, 0 elsewhere."""
    dx = np.zeros_like(x)
    for j, part in enumerate(_groups(x, pieces)):
        winner = part.argmax(axis=1)[:, None]
        np.put_along_axis(dx[:, j * pieces : (j + 1) * pieces], winner, dy[:, j, None], axis=1)
    return dx


def _groups(x: Array, pieces: int) -> list[Array]:
    return np.split(x, x.shape[1] // pieces, axis=1)
