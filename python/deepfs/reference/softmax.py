"""NumPy references of softmax and its logarithm: each function of x, then its gradient."""

from __future__ import annotations

import numpy as np

from ._types import Array


def softmax(x: Array) -> Array:
    """Return exp(x) / sum(exp(x)) along the second axis."""
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def softmax_backward(x: Array, dy: Array) -> Array:
    """Return y (dy - sum(y dy))."""
    y = softmax(x)
    return y * (dy - (y * dy).sum(axis=1, keepdims=True))


def log_softmax(x: Array) -> Array:
    """Return log(softmax(x)) = x - log(sum(exp(x))) along the second axis."""
    x = x - x.max(axis=1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=1, keepdims=True))


def log_softmax_backward(x: Array, dy: Array) -> Array:
    """Return dy - softmax(x) sum(dy)."""
    return dy - softmax(x) * dy.sum(axis=1, keepdims=True)
