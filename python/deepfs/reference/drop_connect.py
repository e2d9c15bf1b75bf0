"""NumPy reference of `deepfs.layers.DropConnect`."""

from __future__ import annotations

from ._types import Array
from .dropout import dropout


def drop_connect(x: Array, weight: Array, bias: Array, p: float, *draw: int) -> Array:
    """Return x W + b with weights dropped, by seed, stream and call."""
    dropped = dropout(weight.reshape(-1), p, *draw).reshape(weight.shape)
    return x.reshape(len(x), len(weight)) @ dropped + bias


def drop_connect_backward(
    x: Array, weight: Array, dy: Array, p: float, *draw: int
) -> tuple[Array, Array, Array]:
    """Return the gradients of x, weight and bias."""
    dropped = dropout(weight.reshape(-1), p, *draw).reshape(weight.shape)
    dweight = x.reshape(len(x), len(weight)).T @ dy
    masked = dropout(dweight.reshape(-1), p, *draw).reshape(weight.shape)
    return (dy @ dropped.T).reshape(x.shape), masked, dy.sum(0)
