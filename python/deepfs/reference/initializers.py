"""NumPy reference of the orthogonal, Dirac and whitening initializers."""

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


def dirac(w: Array, groups: int = 1) -> Array:
    """Return filters of which the first of each group copy a channel; the others are those of w."""
    w, each = w.copy(), len(w) // groups
    for filter_number in range(len(w)):
        channel = filter_number % each
        if channel < w.shape[1]:
            w[filter_number] = 0
            w[(filter_number, channel, *(size // 2 for size in w.shape[2:]))] = 1
    return w


def patch_whitening(x: Array, kh: int, kw: int, eps: float) -> Array:
    """Return the filters that whiten windows of images, by singular values of all windows."""
    n, c, h, w = x.shape
    windows = [x[:, :, i : i + kh, j : j + kw].reshape(n, -1)
               for i in range(h - kh + 1) for j in range(w - kw + 1)]  # fmt: skip
    patches = np.concatenate(windows)
    singular, rows = np.linalg.svd(patches, full_matrices=False)[1:]
    rows = rows * np.sign(rows[np.arange(len(rows)), np.abs(rows).argmax(axis=1)])[:, None]
    filters = rows / np.sqrt(singular**2 / len(patches) + eps)[:, None]
    return np.concatenate([filters, -filters]).reshape(-1, c, kh, kw)
