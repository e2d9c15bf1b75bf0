"""NumPy reference of the orthogonal initializer."""

from __future__ import annotations

import numpy as np

from ._types import Array


def orthogonal(normal: Array) -> Array:
    """Return the columns of a tall matrix made orthonormal, one after the other (Gram, Schmidt)."""
    q = np.zeros_like(normal)
    for k in range(normal.shape[1]):
        rest = normal[:, k]
        for _ in range(2):  # twice is enough, even where the first pass cancels
            rest = rest - q[:, :k] @ (q[:, :k].T @ rest)
        q[:, k] = rest / np.sqrt(rest @ rest)
    return q
