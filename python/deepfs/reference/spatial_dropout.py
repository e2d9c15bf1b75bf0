"""NumPy reference of `deepfs.layers.SpatialDropout`."""

from __future__ import annotations

import numpy as np

from ._types import Array
from .dropout import dropout


def spatial_dropout(x: Array, p: float, seed: int, stream: int, call: int) -> Array:
    """Return ``x`` (n, c, ...) with channels of samples dropped; its own gradient, as `dropout`."""
    n, c = x.shape[:2]
    factors = dropout(np.ones(n * c), p, seed, stream, call).reshape(n, c, *[1] * (x.ndim - 2))
    return np.where(factors > 0, x * factors, 0)
