"""Twins of activations: each function of x, then its gradient."""

from __future__ import annotations

import math

import numpy as np

from ._types import Array

SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772  # as published


def step(x: Array) -> Array:
    """Return 1 where x > 0, else 0."""
    return np.heaviside(x, 0)


def step_backward(x: Array, dy: Array) -> Array:
    """Return 0: it has no slope anywhere."""
    return np.zeros_like(dy)


def identity(x: Array) -> Array:
    """Return x."""
    return x


def identity_backward(x: Array, dy: Array) -> Array:
    """Return dy."""
    return dy


def relu(x: Array) -> Array:
    """Return max(x, 0)."""
    return np.maximum(x, 0)


def relu_backward(x: Array, dy: Array) -> Array:
    """Return dy where x > 0, else 0."""
    return np.where(x > 0, dy, 0)


def leaky_relu(x: Array, slope: float = 0.01) -> Array:
    """Return x where x > 0, else slope x."""
    return np.where(x > 0, x, slope * x)


def leaky_relu_backward(x: Array, dy: Array, slope: float = 0.01) -> Array:
    """Return dy where x > 0, else slope dy."""
    return np.where(x > 0, dy, slope * dy)


def prelu(x: Array, slope: Array) -> Array:
    """Return x where x > 0, else slope x; one slope for each channel, or one."""
    return np.where(x > 0, x, _of_channels(slope, x) * x)


def prelu_backward(x: Array, dy: Array, slope: Array) -> tuple[Array, Array]:
    """Return the gradients of x and of the slope."""
    others = tuple(axis for axis in range(x.ndim) if axis != 1 or len(slope) == 1)
    dslope = np.where(x > 0, 0, x * dy).sum(axis=others)
    return np.where(x > 0, dy, _of_channels(slope, x) * dy), dslope.reshape(slope.shape)


def _of_channels(slope: Array, x: Array) -> Array:
    return slope if len(slope) == 1 else slope.reshape(-1, *[1] * (x.ndim - 2))


def elu(x: Array, alpha: float = 1.0) -> Array:
    """Return x where x > 0, else alpha (exp(x) - 1)."""
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def elu_backward(x: Array, dy: Array, alpha: float = 1.0) -> Array:
    """Return dy where x > 0, else dy alpha exp(x)."""
    return np.where(x > 0, dy, dy * alpha * np.exp(np.minimum(x, 0)))


def selu(x: Array) -> Array:
    """Return the ELU that keeps mean 0 and variance 1."""
    return SELU_SCALE * elu(x, SELU_ALPHA)


def selu_backward(x: Array, dy: Array) -> Array:
    """Return the gradient of x."""
    return SELU_SCALE * elu_backward(x, dy, SELU_ALPHA)


def sigmoid(x: Array) -> Array:
    """Return 1 / (1 + exp(-x)), written so that no exponential overflows."""
    return (1 + np.tanh(x / 2)) / 2


def sigmoid_backward(x: Array, dy: Array) -> Array:
    """Return dy y (1 - y)."""
    return dy * sigmoid(x) * sigmoid(-x)


def tanh(x: Array) -> Array:
    """Return tanh(x)."""
    return np.tanh(x)


def tanh_backward(x: Array, dy: Array) -> Array:
    """Return dy (1 - y^2)."""
    return dy * (1 - np.tanh(x) ** 2)


def softplus(x: Array) -> Array:
    """Return log(1 + exp(x))."""
    return np.logaddexp(0, x).astype(x.dtype)


def softplus_backward(x: Array, dy: Array) -> Array:
    """Return dy sigmoid(x)."""
    return dy * sigmoid(x)


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
