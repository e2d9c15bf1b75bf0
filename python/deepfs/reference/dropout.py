"""NumPy reference of `deepfs.layers.Dropout`."""

from __future__ import annotations

import numpy as np

from ._types import Array
from .random import words


def dropout(x: Array, p: float, seed: int, stream: int, call: int) -> Array:
    """Return ``x`` (in memory order, flat) with entries dropped, the rest divided by 1 - p.

    It is linear in x, so it is its own gradient: that of x is ``dropout(dy, p, ...)``.
    """
    if p == 1:
        return np.zeros_like(x)
    return np.where(words(x.size, seed, stream, call) >= p * 2**32, x / (1 - p), 0)
