"""Layers that are random in training. Kernels: ``src/cnn_core/dropout.pyx``, ``random.pyx``.

Each has a key, seed and stream of its random numbers, and counts its calls: they determine the next
draw, on any number of threads. `SpatialDropout` draws few numbers and `GaussianNoise` is rare: what
they do with them is plain NumPy.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from cnn_core import dropout, gemm, random, reduce

from .. import initializers
from .._check import LARGEST, flag, number, one_of, whole
from ..random import get_seed, new_stream
from ._base import (
    Array,
    Layer,
    Parameter,
    Shape,
    as_seen,
    constant,
    empty,
    in_memory,
    new_parameter,
    quiet,
    to_rows,
)


class _Random(Layer):
    """What the layers below share: key and calls, and entries dropped by them."""

    def _build(self, in_shape: Shape, dtype: np.dtype[Any]) -> None:
        self.kept["key"] = np.array([get_seed(), new_stream()], np.int64)
        self.kept["calls"] = np.zeros(1, np.int64)

    def _new_draw(self) -> tuple[int, ...]:
        """Return seed, stream and call of numbers that have not been drawn yet."""
        seed, stream = map(int, self.kept["key"])
        call = int(self.kept["calls"][0]) % 2**32
        self.kept["calls"] += 1
        return seed, stream, call

    @staticmethod
    def _drop(x: Array, p: float, scale: float, draw: tuple[int, ...]) -> Array:
        """Return ``x * scale``, each entry with probability ``p`` zero; ``x`` is C-contiguous."""
        y = empty(x.shape, x.dtype)
        dropout.drop(x.reshape(-1), y.reshape(-1), p, scale, *draw)
        return y


def _inverse(p: float) -> float:
    """Return by what the kept entries are multiplied, so that the mean stays; p = 1 keeps none."""
    return 1 / (1 - p) if p < 1 else 1.0


@dataclass(eq=False)
class Dropout(_Random):
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
    any number of threads; write to them for a key of the layer's own. Twin:
    `deepfs.reference.dropout`.

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

    def _forward(self, x: Array, training: bool) -> tuple[Array, Any]:
        if not training:
            return (x if self.scaling == "train" else self._expected(x)), None
        draw = self._new_draw()
        return self._masked(x, draw), draw

    def _backward(self, dy: Array, cache: Any, need_dx: bool) -> Array | None:
        if not need_dx:
            return None
        if cache is None:
            return dy.copy() if self.scaling == "train" else self._expected(dy)
        return self._masked(dy, cache)

    def _expected(self, x: Array) -> Array:
        with quiet():  # infinite times 0
            return x * (1 - self.p)

    def _masked(self, x: Array, draw: tuple[int, ...]) -> Array:
        scale = _inverse(self.p) if self.scaling == "train" else 1.0
        return as_seen(self._drop(in_memory(x), self.p, scale, draw))


@dataclass(eq=False)
class SpatialDropout(_Random):
    r"""Set whole channels of a sample to zero at random in training.

    .. math:: y_{n,c} = \frac{x_{n,c}\, m_{n,c}}{1 - p}, \quad P(m_{n,c} = 0) = p

    Neighbouring pixels of a channel are alike, so that `Dropout` of single ones hides little.

    Parameters
    ----------
    p : float
        Probability of dropping a channel of a sample, in [0, 1]. With 1 the output is zero.

    Raises
    ------
    TypeError, ValueError
        If ``p`` is no such number.

    Notes
    -----
    Shapes: ``(n, c, l)`` or ``(n, c, h, w)``, unchanged. Inference changes nothing. Buffers ``key``
    and ``calls`` as in `Dropout`; ``torch.nn.Dropout2d`` draws other numbers. A dropped channel is
    zero even where it is NaN. Twin: `deepfs.reference.spatial_dropout`.

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

    def __post_init__(self) -> None:
        self.p = number(self.p, "p", "[0, 1]")

    def _out_shape(self, in_shape: Shape) -> Shape:
        return in_shape

    def _forward(self, x: Array, training: bool) -> tuple[Array, Any]:
        self.check_shape(x)
        if not training:
            return x, None
        factors = self._drop(
            np.ones(x.shape[:2], x.dtype), self.p, _inverse(self.p), self._new_draw()
        )
        return self._scaled(x, factors), factors

    def _backward(self, dy: Array, cache: Any, need_dx: bool) -> Array | None:
        if not need_dx:
            return None
        return dy.copy() if cache is None else self._scaled(dy, cache)

    @staticmethod
    def _scaled(x: Array, factors: Array) -> Array:
        with quiet():
            y = x * factors.reshape(*factors.shape, *[1] * (x.ndim - 2))  # lies in memory as x does
        y[factors == 0] = 0  # NaN, too
        return y


@dataclass(eq=False)
class DropConnect(_Random):
    r"""Multiply by a matrix whose weights are set to zero at random in training; add a bias.

    .. math::
        y = x \tilde W + b, \quad \tilde W = \frac{W \odot M}{1 - p}, \quad P(M_{ij} = 0) = p

        dW = \frac{x^T dy \odot M}{1 - p}, \quad db = \sum_n dy, \quad dx = dy\, \tilde W^T

    Parameters
    ----------
    units : int
        Length of an output.
    p : float
        Probability of dropping a weight, in [0, 1]. With 1 the output is the bias.
    bias : bool
        Add a number per unit, which is never dropped.
    initializer : str or function
        Of the weight; the bias starts at 0.

    Raises
    ------
    TypeError, ValueError
        If a setting is of the wrong kind or out of range, or, on call, if the inputs do not have
        the length they had first.

    Notes
    -----
    Shapes: ``(n, ...)`` to ``(n, units)``, as in `Dense`; ``weight`` is ``(in, units)``, ``bias``
    ``(units,)``. Buffers ``key`` and ``calls`` as in `Dropout`.

    A batch shares one mask, where the paper draws one for each sample. Inference is x W + b, with
    the mean of the masked weights, which is W itself; the paper draws the units' inputs from normal
    distributions of the same mean and variance instead. Twin: `deepfs.reference.drop_connect`.

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

    def __post_init__(self) -> None:
        self.units = whole(self.units, "units", most=LARGEST)
        self.p = number(self.p, "p", "[0, 1]")
        self.bias = flag(self.bias, "bias")
        initializers.get(self.initializer)

    def _out_shape(self, in_shape: Shape) -> Shape:
        length = prod(in_shape)
        takes = prod(self.in_shape) if self.in_shape is not None else length
        if not in_shape or length != takes or length < 1:
            raise ValueError(
                f"{self.label} takes inputs of {max(takes, 1)} numbers, got shape {in_shape}"
            )
        return (self.units,)

    def _build(self, in_shape: Shape, dtype: np.dtype[Any]) -> None:
        super()._build(in_shape, dtype)
        init = initializers.get(self.initializer)
        self.learned["weight"] = new_parameter(init, (prod(in_shape), self.units), dtype)
        if self.bias:
            self.learned["bias"] = Parameter(constant(0, (self.units,), dtype))

    def _forward(self, x: Array, training: bool) -> tuple[Array, Any]:
        self.check_shape(x)
        flat = to_rows(x)
        draw = self._new_draw() if training else None
        bias = self.learned["bias"].memory if self.bias else None
        y = empty((len(x), self.units), x.dtype)
        gemm.gemm(flat, self._masked(self.learned["weight"].memory, draw), y, bias)
        return y, (flat, x.shape, draw)

    def _backward(self, dy: Array, cache: Any, need_dx: bool) -> Array | None:
        (x, shape, draw), dy = cache, np.ascontiguousarray(dy)
        weight = self.learned["weight"]
        dweight = empty(weight.memory.shape, x.dtype)
        gemm.gemm(x, dy, dweight, trans_a=True)
        with quiet():
            weight.dmemory += self._masked(dweight, draw)
        if self.bias:
            reduce.add_column_sums(dy, self.learned["bias"].dmemory)
        if not need_dx:
            return None
        dx = empty(x.shape, x.dtype)
        gemm.gemm(dy, self._masked(weight.memory, draw), dx, trans_b=True)
        return dx.reshape(shape)

    def _masked(self, weight: Array, draw: tuple[int, ...] | None) -> Array:
        return weight if draw is None else self._drop(weight, self.p, _inverse(self.p), draw)


@dataclass(eq=False)
class GaussianNoise(_Random):
    r"""Add normal numbers of mean 0 in training.

    .. math:: y = x + \sigma\, \xi, \quad \xi \sim N(0, 1), \quad dx = dy

    Parameters
    ----------
    std : float
        Standard deviation :math:`\sigma`, at least 0.

    Raises
    ------
    TypeError, ValueError
        If ``std`` is no such number.

    Notes
    -----
    Shapes: any, unchanged. Inference changes nothing. Buffers ``key`` and ``calls`` as in
    `Dropout`. The noise is drawn in single precision for both dtypes, so that they see the same.
    Twin: `deepfs.reference.gaussian_noise`.

    References
    ----------
    Bishop, "Training with noise is equivalent to Tikhonov regularization", 1995;
    ``keras.layers.GaussianNoise``.

    Examples
    --------
    >>> from deepfs.layers import GaussianNoise
    >>> y, cache = GaussianNoise(0.1).forward(np.zeros((100, 100)), training=True)
    >>> round(float(y.std()), 2)
    0.1
    """

    std: float

    def __post_init__(self) -> None:
        self.std = number(self.std, "std", "[0, inf)")

    def _out_shape(self, in_shape: Shape) -> Shape:
        return in_shape

    def _forward(self, x: Array, training: bool) -> tuple[Array, Any]:
        if not training:
            return x, None
        memory = in_memory(x)
        noise = empty(memory.shape, np.float32)
        random.normal(noise.reshape(-1), *self._new_draw())
        with quiet():
            return as_seen(memory + noise.astype(x.dtype, copy=False) * self.std), None

    def _backward(self, dy: Array, cache: Any, need_dx: bool) -> Array | None:
        return dy.copy() if need_dx else None
