"""NumPy references of batch normalization and its gradients."""

from __future__ import annotations

import numpy as np

from ._types import Array


def batch_norm(
    x: Array,
    gamma: Array,
    beta: Array,
    eps: float = 1e-5,
    mean: Array | None = None,
    var: Array | None = None,
) -> Array:
    """Return ``x`` normalised per channel, by the batch's mean and variance or by those given."""
    normal, _ = _normal(x, eps, mean, var)
    return normal * _of_channels(gamma, x) + _of_channels(beta, x)


def batch_norm_backward(
    x: Array,
    gamma: Array,
    dy: Array,
    eps: float = 1e-5,
    mean: Array | None = None,
    var: Array | None = None,
) -> tuple[Array, Array, Array]:
    """Return the gradients of x, gamma and beta; a given mean and variance are constants."""
    axes, g = _axes(x), dy * _of_channels(gamma, x)
    normal, std = _normal(x, eps, mean, var)
    if mean is None:  # both paths through the statistics of the batch
        through_mean = g.mean(axes, keepdims=True)
        through_std = normal * (g * normal).mean(axes, keepdims=True)
        g = g - through_mean - through_std
    return g / std, (dy * normal).sum(axes), dy.sum(axes)


def _normal(x: Array, eps: float, mean: Array | None, var: Array | None) -> tuple[Array, Array]:
    """Return (x - mean) / std per channel, and std = sqrt(var + eps)."""
    mean = x.mean(_axes(x)) if mean is None else mean
    var = x.var(_axes(x)) if var is None else var
    std = np.sqrt(_of_channels(var, x) + eps)
    return (x - _of_channels(mean, x)) / std, std


def _axes(x: Array) -> tuple[int, ...]:
    return (0, *range(2, x.ndim))


def _of_channels(v: Array, x: Array) -> Array:
    return v.reshape(-1, *[1] * (x.ndim - 2))
