"""Twins of activations."""

from __future__ import annotations

import numpy as np

from ._types import Array


def relu(x: Array) -> Array:
    """Return max(x, 0)."""
    return np.maximum(x, 0)


def sigmoid(x: Array) -> Array:
    """Return 1 / (1 + exp(-x)), written so that no exponential overflows."""
    return (1 + np.tanh(x / 2)) / 2


def tanh(x: Array) -> Array:
    """Return tanh(x)."""
    return np.tanh(x)
