"""DropConnect. Kernels: ``src/cnn_core/dropout.pyx``, ``gemm.pyx``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from cnn_core import dropout, gemm, reduce

from .. import initializers
from .._arrays import Array, Shape, empty, flat_rows, ignore_overflow
from .._check import MAX_EXTENT, flag, number, whole
from ._random import RandomLayer, scale_of
from .dense import Dense, check_length


@dataclass(eq=False)
class DropConnect(RandomLayer):
    r"""DropConnect: a dense layer whose weights are set to zero at random in training.

    .. math::
        y = x \tilde W + b, \quad \tilde W = \frac{W \odot M}{1 - p}, \quad P(M_{ij} = 0) = p

        dW = \frac{x^T dy \odot M}{1 - p}, \quad db = \sum_n dy, \quad dx = dy\, \tilde W^T

    Parameters
    ----------
    units : int
        Number of outputs per sample, at least 1.
    p : float
        Probability of dropping a weight, in [0, 1]. With 1 the output is the bias.
    bias : bool
        Add a learned number per unit, which is never dropped.
    initializer : str or function
        Initial values of the weight, see `deepfs.initializers`; the bias starts at 0.

    Raises
    ------
    TypeError, ValueError
        If a setting is of the wrong kind or out of range; ValueError on call, if a sample does not
        have as many numbers as those of the first input.

    Notes
    -----
    Shapes: ``(n, ...)`` to ``(n, units)``, as in `Dense`; ``weight`` is ``(in, units)``, ``bias``
    ``(units,)``. Buffers ``key`` and ``calls`` as in `Dropout`.

    All samples of a batch share one mask; the paper draws a mask for each sample. Inference is
    x W + b, with the mean of the masked weights, which is W itself; the paper draws the inputs of
    the units from normal distributions of the same mean and variance instead.
    NumPy reference: `deepfs.reference.drop_connect`.

    References
    ----------
    Wan et al., "Regularization of neural networks using DropConnect", ICML 2013.

    Examples
    --------
    >>> from deepfs.layers import DropConnect
    >>> layer = DropConnect(2, p=0.5, initializer="ones")
    >>> layer(np.array([[1.0, 2.0, 3.0]]))
    array([[6., 6.]])
    >>> y, cache = layer.forward(np.ones((1, 3)), training=True)
    >>> {float(v) for v in y.flat} <= {0.0, 2.0, 4.0, 6.0}
    True
    """

    units: int
    p: float
    bias: bool = True
    initializer: str | initializers.Initializer = "he_normal"

    changeable = frozenset({"p"})

    def __post_init__(self) -> None:
        self.units = whole(self.units, "units", most=MAX_EXTENT)
        self.p = number(self.p, "p", "[0, 1]")
        self.bias = flag(self.bias, "bias")
        initializers.get(self.initializer)

    def _out_shape(self, in_shape: Shape) -> Shape:
        check_length(self, in_shape)
        return (self.units,)

    def _build(self, in_shape: Shape, dtype: np.dtype[Any]) -> None:
        super()._build(in_shape, dtype)
        self._dense = Dense(self.units, self.bias, self.initializer)
        self._dense.build(in_shape, dtype, self._budget)
        self.learned = self._dense.learned

    def _forward(self, x: Array, training: bool) -> tuple[Array, Any]:
        self.check_shape(x)
        draw = self._new_draw() if training else None
        flat = flat_rows(x)
        bias = self.learned["bias"].storage if self.bias else None
        y = empty((len(x), self.units), x.dtype)
        gemm.gemm(flat, self._masked(self.learned["weight"].storage, draw), y, bias)
        return y, (flat, x.shape, draw)

    def _backward(self, dy: Array, cache: Any, need_dx: bool) -> Array | None:
        (x, shape, draw), dy = cache, np.ascontiguousarray(dy)
        weight = self.learned["weight"]
        learns = self._learns()
        if learns:
            dweight = empty(weight.storage.shape, x.dtype)
            gemm.gemm(x, dy, dweight, trans_a=True)
            with ignore_overflow():
                weight.dstorage += self._masked(dweight, draw)
        if learns and self.bias:
            reduce.add_column_sums(dy, self.learned["bias"].dstorage)
        if not need_dx:
            return None
        dx = empty(x.shape, x.dtype)
        gemm.gemm(dy, self._masked(weight.storage, draw), dx, trans_b=True)
        return dx.reshape(shape)

    def _masked(self, weight: Array, draw: tuple[int, ...] | None) -> Array:
        if draw is None:
            return weight
        masked = empty(weight.shape, weight.dtype)
        scale = scale_of(self.p)
        dropout.drop(weight.reshape(-1), masked.reshape(-1), self.p, scale, *draw)
        return masked
