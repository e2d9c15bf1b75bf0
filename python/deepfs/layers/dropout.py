"""Dropout. Kernel: ``src/cnn_core/dropout.pyx``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from cnn_core import dropout

from .._check import number, one_of
from ..random import get_seed, new_stream
from ._base import Array, Layer, Shape, as_seen, empty, in_memory


@dataclass(eq=False)
class Dropout(Layer):
    r"""Set numbers to zero at random in training, so that no unit relies on one other.

    .. math:: y = \frac{x\, m}{1 - p}, \quad dx = \frac{dy\, m}{1 - p}, \quad P(m = 0) = p

    Parameters
    ----------
    p : float
        Probability of dropping, in [0, 1]. With 1 the output is zero.
    scaling : {"train", "test"}
        "train" divides by 1 - p in training, and inference changes nothing ("inverted" dropout, as
        every framework); "test" is the textbook's form: training only drops, inference multiplies
        by 1 - p.

    Raises
    ------
    ValueError
        If a setting is out of range.

    Notes
    -----
    Shapes: any, unchanged. Buffer ``key``: seed and stream of the layer's random numbers, drawn
    when it is built; buffer ``calls``: how often it has drawn. They determine the next mask, on
    any number of threads. Twin: `deepfs.reference.dropout`.

    References
    ----------
    Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", 2014.

    Examples
    --------
    >>> from deepfs.layers import Dropout
    >>> y, cache = Dropout(0.5).forward(np.ones((2, 500)), training=True)
    >>> sorted({float(v) for v in y.flat})
    [0.0, 2.0]
    """

    p: float = 0.5
    scaling: str = "train"

    def __post_init__(self) -> None:
        self.p = number(self.p, "p", "[0, 1]")
        one_of(self.scaling, "scaling", ("train", "test"))

    def _out_shape(self, in_shape: Shape) -> Shape:
        return in_shape

    def _build(self, in_shape: Shape, dtype: np.dtype[Any]) -> None:
        self.kept["key"] = np.array([get_seed(), new_stream()], np.int64)
        self.kept["calls"] = np.zeros(1, np.int64)

    def _forward(self, x: Array, training: bool) -> tuple[Array, Any]:
        if not training:
            return (x if self.scaling == "train" else x * (1 - self.p)), None
        draw = (*map(int, self.kept["key"]), int(self.kept["calls"][0]) % 2**32)
        self.kept["calls"] += 1
        return self._drop(x, draw), draw

    def _backward(self, dy: Array, cache: Any, need_dx: bool) -> Array | None:
        if not need_dx:
            return None
        if cache is None:
            return dy.copy() if self.scaling == "train" else dy * (1 - self.p)
        return self._drop(dy, cache)

    def _drop(self, x: Array, draw: tuple[int, ...]) -> Array:
        scale = 1 / (1 - self.p) if self.scaling == "train" and self.p < 1 else 1.0
        x = in_memory(x)
        y = empty(x.shape, x.dtype)
        dropout.drop(x.reshape(-1), y.reshape(-1), self.p, scale, *draw)
        return as_seen(y)
