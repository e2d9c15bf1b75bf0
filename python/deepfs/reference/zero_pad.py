"""NumPy reference of `deepfs.layers.ZeroPad2D`."""

from __future__ import annotations

from ._types import Array, Sides
from ._window import pad


def zero_pad2d(x: Array, padding: Sides) -> Array:
    """Return images padded with zeros."""
    return pad(x, padding)


def zero_pad2d_backward(x: Array, dy: Array, padding: Sides) -> Array:
    """Return dx: the part of dy inside the padding."""
    top, _, left, _ = padding
    return dy[:, :, top : top + x.shape[2], left : left + x.shape[3]]
