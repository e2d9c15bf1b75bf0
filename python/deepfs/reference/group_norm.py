"""NumPy reference of `deepfs.layers.GroupNorm`, and functions for all norms of single samples."""

from __future__ import annotations

from math import prod

import numpy as np

from ._types import Array


def group_norm(x: Array, groups: int, gamma: Array, beta: Array, eps: float = 1e-5) -> Array:
    """Return ``x`` (n, c, ...) normalised over each group of channels of each sample."""
    grouped = len(x), groups, prod(x.shape[1:]) // groups
    normal = normalised(x.reshape(grouped), -1, eps)[0].reshape(x.shape)
    return normal * _of_channels(gamma, x) + _of_channels(beta, x)


def group_norm_backward(
    x: Array, groups: int, gamma: Array, dy: Array, eps: float = 1e-5
) -> tuple[Array, Array, Array]:
    """Return the gradients of x, gamma and beta."""
    grouped = len(x), groups, prod(x.shape[1:]) // groups
    others = (0, *range(2, x.ndim))
    normal, std = normalised(x.reshape(grouped), -1, eps)
    dx = through_statistics((dy * _of_channels(gamma, x)).reshape(grouped), normal, std, -1)
    return dx.reshape(x.shape), (dy * normal.reshape(x.shape)).sum(others), dy.sum(others)


def normalised(x: Array, axes: int | tuple[int, ...], eps: float) -> tuple[Array, Array]:
    """Return (x - mean) / std over the axes, and std = sqrt(biased variance + eps)."""
    std = np.sqrt(x.var(axes, keepdims=True) + eps)
    return (x - x.mean(axes, keepdims=True)) / std, std


def through_statistics(g: Array, normal: Array, std: Array, axes: int | tuple[int, ...]) -> Array:
    """Return the gradient of x, g being that of normal: both paths through mean and variance."""
    through_std = normal * (g * normal).mean(axes, keepdims=True)
    return (g - g.mean(axes, keepdims=True) - through_std) / std


def _of_channels(v: Array, x: Array) -> Array:
    return v.reshape(-1, *[1] * (x.ndim - 2))
