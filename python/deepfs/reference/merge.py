"""NumPy reference of `deepfs.layers.Add` and the other layers of several inputs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import numpy as np

from ._types import Array


def add(arrays: Sequence[Array]) -> Array:
    """Return the sum of the arrays."""
    return reduce(np.add, arrays)


def add_backward(dy: Array, count: int) -> list[Array]:
    """Return the gradient of each of ``count`` arrays."""
    return [dy] * count


def subtract(arrays: Sequence[Array]) -> Array:
    """Return the difference of two arrays."""
    a, b = arrays
    return a - b


def subtract_backward(dy: Array) -> list[Array]:
    """Return the gradients of both."""
    return [dy, -dy]


def multiply(arrays: Sequence[Array]) -> Array:
    """Return the product of the arrays; an extent of 1 fits any other."""
    return reduce(np.multiply, arrays)


def multiply_backward(dy: Array, arrays: Sequence[Array]) -> list[Array]:
    """Return the gradient of each array, summed where its extent of 1 was repeated."""
    gradients = []
    for i, array in enumerate(arrays):
        dx = dy * multiply([np.ones_like(array), *arrays[:i], *arrays[i + 1 :]])
        repeated = tuple(a for a in range(dy.ndim) if array.shape[a] == 1)
        gradients.append(dx.sum(axis=repeated, keepdims=True))
    return gradients


def concat(arrays: Sequence[Array], axis: int = 1) -> Array:
    """Return the arrays one after the other along an axis."""
    return np.concatenate(arrays, axis)


def concat_backward(dy: Array, extents: Sequence[int], axis: int = 1) -> list[Array]:
    """Return the part of dy that belongs to each array, of these extents along the axis."""
    return np.split(dy, np.cumsum(extents)[:-1], axis)
