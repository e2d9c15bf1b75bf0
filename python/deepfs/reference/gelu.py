"""NumPy references of SiLU, GELU and HardSwish: each function of x, then its gradient."""

from __future__ import annotations

import math

import numpy as np

from ._types import Array
from .activation import sigmoid


def silu(x: Array) -> Array:
    """Return x sigmoid(x)."""
    return x * sigmoid(x)


def silu_backward(x: Array, dy: Array) -> Array:
    """Return dy (s + x s (1 - s)), s = sigmoid(x)."""
    s = sigmoid(x)
    return dy * (s + x * s * (1 - s))


def normal(x: Array) -> Array:
    """Return the part of the normal distribution below x: (1 + erf(x / sqrt 2)) / 2."""
    below = np.array([math.erfc(-number / math.sqrt(2)) / 2 for number in x.flat], x.dtype)
    return below.reshape(x.shape)


def gelu(x: Array, approximate: bool = False) -> Array:
    """Return x normal(x), or x (1 + tanh(u)) / 2, u = sqrt(2 / pi) (x + 0.044715 x^3)."""
    if approximate:
        return x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) / 2
    return x * normal(x)


def gelu_backward(x: Array, dy: Array, approximate: bool = False) -> Array:
    """Return dy (normal(x) + x exp(-x^2 / 2) / sqrt(2 pi)), or the derivative with tanh."""
    if approximate:
        t = np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))
        du = math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x**2)
        return dy * ((1 + t) / 2 + x * (1 - t**2) * du / 2)
    return dy * (normal(x) + x * np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi))


def hard_swish(x: Array) -> Array:
    """Return x min(max(x + 3, 0), 6) / 6."""
    return x * np.clip(x + 3, 0, 6) / 6


def hard_swish_backward(x: Array, dy: Array) -> Array:
    """Return dy (x / 3 + 1 / 2) between -3 and 3, 0 below and dy above."""
    return dy * np.where(x >= 3, 1, np.where(x <= -3, 0, x / 3 + 0.5))
