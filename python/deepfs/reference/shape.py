"""Twins of the layers that only move numbers."""

from __future__ import annotations

import math

import numpy as np

from ._types import Array, Pair, Sides
from ._window import pad


def flatten(x: Array) -> Array:
    """Return each sample as one row."""
    return x.reshape(len(x), math.prod(x.shape[1:]))


def flatten_backward(x: Array, dy: Array) -> Array:
    """Return dx: the rows in the shape of x."""
    return dy.reshape(x.shape)


def reshape(x: Array, shape: tuple[int, ...]) -> Array:
    """Return each sample in another shape."""
    return x.reshape(len(x), *shape)


def reshape_backward(x: Array, dy: Array) -> Array:
    """Return dx: the same numbers in the shape of x."""
    return dy.reshape(x.shape)


def zero_pad2d(x: Array, padding: Sides) -> Array:
    """Return images with a frame of zeros."""
    return pad(x, padding)


def zero_pad2d_backward(x: Array, dy: Array, padding: Sides) -> Array:
    """Return dx: what lies inside the frame."""
    top, _, left, _ = padding
    return dy[:, :, top : top + x.shape[2], left : left + x.shape[3]]


def upsample2d(x: Array, factor: Pair) -> Array:
    """Return images with each row and each column repeated."""
    return x.repeat(factor[0], axis=2).repeat(factor[1], axis=3)


def upsample2d_backward(x: Array, dy: Array, factor: Pair) -> Array:
    """Return dx: the sum over what a pixel was repeated to."""
    n, c, h, w = x.shape
    return np.sum(dy.reshape(n, c, h, factor[0], w, factor[1]), axis=(3, 5))
