"""Spatial dropout. Kernels: ``src/cnn_core/dropout.pyx``, ``random.pyx``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from cnn_core import dropout

from .._arrays import Array, Shape, empty, ignore_overflow
from .._check import number
from ._random import RandomLayer, scale_of


@dataclass(eq=False)
class SpatialDropout(RandomLayer):
    r"""Spatial dropout (channel dropout, Dropout2d): set whole channels to zero in training.

    .. math:: y_{n,c} = \frac{x_{n,c}\, m_{n,c}}{1 - p}, \quad P(m_{n,c} = 0) = p

    Neighbouring pixels of a channel are similar, so `Dropout` of single pixels hides little.

    Parameters
    ----------
    p : float
        Probability of dropping a channel of a sample, in [0, 1]. With 1 the output is zero.

    Raises
    ------
    TypeError, ValueError
        If ``p`` is not a number in [0, 1].

    Notes
    -----
    Shapes: ``(n, c, l)`` or ``(n, c, h, w)``, unchanged. Inference changes nothing. Buffers ``key``
    and ``calls`` as in `Dropout`; ``torch.nn.Dropout2d`` draws other numbers. A dropped channel is
    zero even where it is NaN. NumPy reference: `deepfs.reference.spatial_dropout`.

    References
    ----------
    Tompson et al., "Efficient object localization using convolutional networks", 2015,
    arXiv:1411.4280.

    Examples
    --------
    >>> from deepfs.layers import SpatialDropout
    >>> y, cache = SpatialDropout(0.5).forward(np.ones((2, 50, 4, 4)), training=True)
    >>> sorted({float(v) for v in y.sum(axis=(2, 3)).flat})
    [0.0, 32.0]
    """

    p: float

    input_rank = (3, 4)

    changeable = frozenset({"p"})

    def __post_init__(self) -> None:
        self.p = number(self.p, "p", "[0, 1]")

    def _out_shape(self, in_shape: Shape) -> Shape:
        return in_shape

    def _forward(self, x: Array, training: bool) -> tuple[Array, Any]:
        self.check_shape(x)
        if not training:
            return x, None
        ones = np.ones(x.shape[:2], x.dtype)
        factors = empty(ones.shape, x.dtype)
        scale, draw = scale_of(self.p), self._new_draw()
        dropout.drop(ones.reshape(-1), factors.reshape(-1), self.p, scale, *draw)
        return self._scaled(x, factors), factors

    def _backward(self, dy: Array, cache: Any, need_dx: bool) -> Array | None:
        if not need_dx:
            return None
        return dy.copy() if cache is None else self._scaled(dy, cache)

    @staticmethod
    def _scaled(x: Array, factors: Array) -> Array:
        with ignore_overflow():
            y = x * factors.reshape(*factors.shape, *[1] * (x.ndim - 2))  # in the layout of x
        y[factors == 0] = 0  # NaN, too
        return y
