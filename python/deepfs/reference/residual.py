"""NumPy reference of `deepfs.layers.Residual`."""

from __future__ import annotations

from collections.abc import Callable

from ._types import Array
from .activation import identity


def residual(
    x: Array, body: Callable[[Array], Array], shortcut: Callable[[Array], Array] = identity
) -> Array:
    """Return body(x) + shortcut(x)."""
    return body(x) + shortcut(x)


def residual_backward(
    dy: Array, body: Callable[[Array], Array], shortcut: Callable[[Array], Array] = identity
) -> Array:
    """Return dx; each function maps dy to the gradient of x through its path."""
    return body(dy) + shortcut(dy)
