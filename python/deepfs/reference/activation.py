"""NumPy references of element-wise activations: each function of x, then its gradient."""

from __future__ import annotations

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


def clip(x: Array, min_value: float = -np.inf, max_value: float = np.inf) -> Array:
    """Return x, limited from below and above."""
    return np.minimum(np.maximum(x, x.dtype.type(min_value)), x.dtype.type(max_value))


def clip_backward(
    x: Array, dy: Array, min_value: float = -np.inf, max_value: float = np.inf
) -> Array:
    """Return dy between the limits, 0 at and beyond them."""
    return np.where((x > min_value) & (x < max_value), dy, 0)


def leaky_relu(x: Array, slope: float = 0.01) -> Array:
    """Return x where x > 0, else slope x."""
    return np.where(x > 0, x, slope * x)


def leaky_relu_backward(x: Array, dy: Array, slope: float = 0.01) -> Array:
    """Return dy where x > 0, else slope dy."""
    return np.where(x > 0, dy, slope * dy)


def elu(x: Array, alpha: float = 1.0) -> Array:
    """Return x where x > 0, else alpha (exp(x) - 1)."""
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def elu_backward(x: Array, dy: Array, alpha: float = 1.0) -> Array:
    """Return dy where x > 0, else dy alpha exp(x)."""
    return np.where(x > 0, dy, dy * alpha * np.exp(np.minimum(x, 0)))


def selu(x: Array, alpha: float = SELU_ALPHA, scale: float = SELU_SCALE) -> Array:
    """Return the multiple of ELU that, by default, keeps mean 0 and variance 1."""
    return scale * elu(x, alpha)


def selu_backward(
    x: Array, dy: Array, alpha: float = SELU_ALPHA, scale: float = SELU_SCALE
) -> Array:
    """Return the gradient of x."""
    return scale * elu_backward(x, dy, alpha)


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
