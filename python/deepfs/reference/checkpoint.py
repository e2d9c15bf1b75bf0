"""NumPy reference of `deepfs.layers.Checkpoint`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ._types import Array


def checkpoint(x: Array, body: Callable[[Array], tuple[Array, Any]]) -> Array:
    """Return the first of what the body returns for x: its output, without its cache."""
    return body(x)[0]


def checkpoint_backward(
    dy: Array,
    x: Array,
    body: Callable[[Array], tuple[Array, Any]],
    backward: Callable[[Array, Any], Array],
) -> Array:
    """Return dx: the body runs again for its cache, which ``backward(dy, cache)`` needs."""
    return backward(dy, body(x)[1])
