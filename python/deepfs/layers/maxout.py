"""Maxout: the largest of several channels, in plain NumPy, one pass per piece."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .._arrays import Array, Shape, channels_first, channels_last, empty
from .._check import whole
from ._base import Layer


@dataclass(eq=False)
class Maxout(Layer):
    r"""Maxout activation: the largest of every ``pieces`` channels.

    .. math:: y_j = \max_{0 \le i < k} x_{j k + i}, \quad
              dx_{j k + i} = dy_j \text{ where } x_{j k + i} \text{ is the largest, else } 0

    The layer before it learns the shape of the activation.

    Parameters
    ----------
    pieces : int
        Channels :math:`k` per channel of the output, at least 1.

    Raises
    ------
    TypeError, ValueError
        If ``pieces`` is not an int of at least 1; ValueError, on call, if the number of channels is
        not a multiple of it.

    Notes
    -----
    Shapes: ``(n, c, ...)`` to ``(n, c / pieces, ...)``, along the second axis. Of equal numbers,
    the first gets the gradient. NaN counts as the largest. NumPy reference:
    `deepfs.reference.maxout`.

    References
    ----------
    Goodfellow et al., "Maxout networks", 2013, arXiv:1302.4389.

    Examples
    --------
    >>> from deepfs.layers import Maxout
    >>> Maxout(2)(np.array([[1.0, 3.0, -2.0, -5.0]]))
    array([[ 3., -2.]])
    """

    pieces: int

    def __post_init__(self) -> None:
        self.pieces = whole(self.pieces, "pieces")

    def _out_shape(self, in_shape: Shape) -> Shape:
        if not in_shape or in_shape[0] < 1 or in_shape[0] % self.pieces:
            raise ValueError(
                f"{self.label} takes a multiple of {self.pieces} channels, got shape {in_shape}"
            )
        return in_shape[0] // self.pieces, *in_shape[1:]

    def _forward(self, x: Array, training: bool) -> tuple[Array, Any]:
        self.check_shape(x)
        x = channels_last(x)
        groups = x.reshape(*x.shape[:-1], x.shape[-1] // self.pieces, self.pieces)
        pieces = empty((self.pieces, *groups.shape[:-1]), x.dtype)
        np.copyto(pieces, np.moveaxis(groups, -1, 0))
        y, argmax = pieces[0], np.zeros(pieces.shape[1:], np.min_scalar_type(self.pieces))
        for i in range(1, self.pieces):
            wins = ~(pieces[i] <= y) & (y == y)  # a NaN wins, against another the first one
            argmax = np.maximum(argmax, wins * argmax.dtype.type(i))  # no branch for an entry
            y = np.maximum(y, pieces[i], out=empty(y.shape, y.dtype))
        return channels_first(y), argmax

    def _backward(self, dy: Array, cache: Any, need_dx: bool) -> Array | None:
        if not need_dx:
            return None
        dx, dy = empty((*cache.shape, self.pieces), dy.dtype), channels_last(dy)
        bits = dy.view(f"i{dy.itemsize}")
        for i in range(self.pieces):
            mask = np.negative(cache == i, dtype=bits.dtype)  # all bits set, or none
            dx[..., i] = (bits & mask).view(dy.dtype)
        return channels_first(dx.reshape(*cache.shape[:-1], cache.shape[-1] * self.pieces))
