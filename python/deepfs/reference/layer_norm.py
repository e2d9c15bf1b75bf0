"""NumPy reference of `deepfs.layers.LayerNorm`."""

from __future__ import annotations

from ._types import Array
from .group_norm import normalised, through_statistics


def layer_norm(x: Array, gamma: Array, beta: Array, eps: float = 1e-5) -> Array:
    """Return ``x`` normalised over its last axes, those of gamma and beta."""
    axes = tuple(range(-gamma.ndim, 0))
    return normalised(x, axes, eps)[0] * gamma + beta


def layer_norm_backward(
    x: Array, gamma: Array, dy: Array, eps: float = 1e-5
) -> tuple[Array, Array, Array]:
    """Return the gradients of x, gamma and beta."""
    axes, others = tuple(range(-gamma.ndim, 0)), tuple(range(x.ndim - gamma.ndim))
    normal, std = normalised(x, axes, eps)
    return (
        through_statistics(dy * gamma, normal, std, axes),
        (dy * normal).sum(others),
        dy.sum(others),
    )
