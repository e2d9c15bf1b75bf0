"""NumPy reference of the dense layer."""

from __future__ import annotations

from ._types import Array


def dense(x: Array, weight: Array, bias: Array) -> Array:
    """Return x W + b."""
    return x.reshape(len(x), len(weight)) @ weight + bias


def dense_backward(x: Array, weight: Array, dy: Array) -> tuple[Array, Array, Array]:
    """Return dx, dweight, dbias."""
    flat = x.reshape(len(x), len(weight))
    return (dy @ weight.T).reshape(x.shape), flat.T @ dy, dy.sum(axis=0)
