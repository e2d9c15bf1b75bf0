"""Numerical gradients, with the names of the book's ``common/gradient.py``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..._arrays import Array

__all__ = ["np", "numerical_gradient", "numerical_gradient_2d"]

STEP = 1e-4


def numerical_gradient(f: Callable[[Any], Any], x: Array) -> Array:
    """Return (f(x + h) - f(x - h)) / 2h for each entry of ``x``, with h = 1e-4.

    ``x`` itself is changed and restored, so ``f`` may ignore its argument and look at an array that
    a network keeps. Only integers, which cannot be changed by h, are copied.
    """
    x = _floats(x)
    grad = np.zeros_like(x)
    entries, slopes = x.flat, grad.flat
    for i in range(x.size):
        before = entries[i]
        try:
            entries[i] = before + STEP
            above = f(x)
            entries[i] = before - STEP
            below = f(x)
        finally:  # also if f raises, or Ctrl-C comes
            entries[i] = before
        slopes[i] = (above - below) / (2 * STEP)
    return grad


def _numerical_gradient_1d(f: Callable[[Any], Any], x: Array) -> Array:
    return numerical_gradient(f, x)


def numerical_gradient_2d(f: Callable[[Any], Any], X: Array) -> Array:
    """Return the gradient of ``f`` at each row of ``X``."""
    if X.ndim == 1:
        return numerical_gradient(f, X)
    X = _floats(X)
    return np.array([numerical_gradient(f, row) for row in X]).reshape(X.shape)


def _floats(x: Array) -> Array:
    return x if x.dtype.kind == "f" else x.astype(np.float64)
