"""NumPy reference of `deepfs.layers.Reshape`."""

from __future__ import annotations

from ._types import Array


def reshape(x: Array, shape: tuple[int, ...]) -> Array:
    """Return each sample in another shape."""
    return x.reshape(len(x), *shape)


def reshape_backward(x: Array, dy: Array) -> Array:
    """Return dx: the same numbers in the shape of x."""
    return dy.reshape(x.shape)
