"""Layers that only rearrange."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

from ._base import Array, Layer, Shape


@dataclass(eq=False)
class Flatten(Layer):
    """Turn each sample into one row of numbers.

    Notes
    -----
    Shapes: ``(n, c, h, w)`` to ``(n, c * h * w)``, in the order people read, so that a dense
    weight after it matches other frameworks. Twin: `deepfs.reference.flatten`.

    References
    ----------
    ``torch.nn.Flatten``, ``keras.layers.Flatten``.

    Examples
    --------
    >>> import numpy as np
    >>> from deepfs.layers import Flatten
    >>> Flatten()(np.zeros((2, 3, 4, 5))).shape
    (2, 60)
    """

    def _out_shape(self, in_shape: Shape) -> Shape:
        return (prod(in_shape),)

    def _forward(self, x: Array, training: bool) -> tuple[Array, Any]:
        return x.reshape(len(x), prod(x.shape[1:])), x.shape

    def _backward(self, dy: Array, cache: Any, need_dx: bool) -> Array | None:
        return dy.reshape(cache).copy() if need_dx else None
