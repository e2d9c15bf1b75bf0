"""NumPy reference of `deepfs.layers.InstanceNorm`: a group norm with a group for each channel."""

from __future__ import annotations

from ._types import Array
from .group_norm import group_norm, group_norm_backward


def instance_norm(x: Array, gamma: Array, beta: Array, eps: float = 1e-5) -> Array:
    """Return ``x`` (n, c, ...) normalised over each channel of each sample."""
    return group_norm(x, x.shape[1], gamma, beta, eps)


def instance_norm_backward(
    x: Array, gamma: Array, dy: Array, eps: float = 1e-5
) -> tuple[Array, Array, Array]:
    """Return the gradients of x, gamma and beta."""
    return group_norm_backward(x, x.shape[1], gamma, dy, eps)
