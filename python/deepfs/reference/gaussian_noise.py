"""NumPy reference of `deepfs.layers.GaussianNoise`."""

from __future__ import annotations

import numpy as np

from ._types import Array
from .random import words


def gaussian_noise(x: Array, std: float, seed: int, stream: int, call: int) -> Array:
    """Return ``x`` (in memory order, flat) with normal numbers added (Box and Muller 1958).

    The gradient of x is dy itself.
    """
    pairs = words(x.size + x.size % 2, seed, stream, call).reshape(-1, 2) * 2.0**-32
    radius = np.sqrt(-2 * np.log(pairs[:, 0] + 2.0**-32))  # the logarithm is never of 0
    angle = 2 * np.pi * pairs[:, 1]
    normal = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    return x + std * normal.reshape(-1)[: x.size]
