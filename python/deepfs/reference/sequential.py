"""NumPy reference of `deepfs.layers.Sequential`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ._types import Array


def sequential(x: Array, parts: Sequence[Callable[[Array], Array]]) -> Array:
    """Return f_k(... f_2(f_1(x))) for the functions f_1 to f_k."""
    for part in parts:
        x = part(x)
    return x


def sequential_backward(dy: Array, parts: Sequence[Callable[[Array], Array]]) -> Array:
    """Return dx; part i maps the gradient of the output of f_i to that of its input."""
    for part in reversed(parts):
        dy = part(dy)
    return dy
