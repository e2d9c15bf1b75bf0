"""Flatten: samples as rows."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

from .._arrays import Array, Shape, channels_first, channels_last, flat_rows
from ._base import Layer


@dataclass(eq=False)
class Flatten(Layer):
    """Flatten layer: each sample as one row.

    Notes
    -----
    Shapes: ``(n, c, h, w)`` to ``(n, c * h * w)``, in logical order, so that the weight of a dense
    layer after it matches that of other frameworks. NumPy reference: `deepfs.reference.flatten`.

    References
    ----------
    ``torch.nn.Flatten``, ``keras.layers.Flatten``.

    Examples
    --------
    >>> from deepfs.layers import Flatten
    >>> Flatten()(np.zeros((2, 3, 4, 5))).shape
    (2, 60)
    """

    def _out_shape(self, in_shape: Shape) -> Shape:
        return (prod(in_shape),)

    def _forward(self, x: Array, training: bool) -> tuple[Array, Any]:
        return flat_rows(x), x.shape

    def _backward(self, dy: Array, cache: Any, need_dx: bool) -> Array | None:
        if not need_dx:
            return None
        dx = dy.reshape(cache)
        if dx.ndim == 4 and 1 not in (dx.shape[1], dx.shape[2] * dx.shape[3]):
            return channels_first(channels_last(dx))  # a channels-last copy for the layer before
        return dx.copy()
