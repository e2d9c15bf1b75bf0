"""The dense layer. Kernel: ``src/cnn_core/dense.pyx``."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from cnn_core import dense

from .. import initializers
from .._check import LARGEST, flag, whole
from ._base import Array, Layer, Parameter, Shape, constant, empty, new_parameter, to_rows


@dataclass(eq=False)
class Dense(Layer):
    r"""Multiply by a matrix and add a bias.

    .. math:: y = x W + b, \quad dW = x^T dy, \quad db = \sum_n dy, \quad dx = dy\, W^T

    Parameters
    ----------
    units : int
        Length of an output.
    bias : bool
        Add a number per unit.
    initializer : str or function
        Of the weight; the bias starts at 0.

    Raises
    ------
    ValueError
        If ``units`` is below 1, or, on call, if the inputs do not have the length they had first.

    Notes
    -----
    Shapes: ``(n, ...)`` to ``(n, units)``; everything after the batch axis is flattened, in the
    order people read. ``weight`` is ``(in, units)``, ``bias`` ``(units,)``.
    Twin: `deepfs.reference.dense`.

    References
    ----------
    Rumelhart, Hinton and Williams, "Learning representations by back-propagating errors", 1986.

    Examples
    --------
    >>> from deepfs.layers import Dense
    >>> Dense(2, initializer="ones")(np.array([[1.0, 2.0, 3.0]]))
    array([[6., 6.]])
    """

    units: int
    bias: bool = True
    initializer: str | initializers.Initializer = "he_normal"

    forward_ends, backward_ends = frozenset({"relu"}), frozenset({"gate"})

    def __post_init__(self) -> None:
        self.units = whole(self.units, "units", most=LARGEST)
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
        init = initializers.get(self.initializer)
        self.learned["weight"] = new_parameter(init, (prod(in_shape), self.units), dtype)
        if self.bias:
            self.learned["bias"] = Parameter(constant(0, (self.units,), dtype))

    def _forward(self, x: Array, training: bool, relu: bool = False) -> tuple[Array, Any]:
        self.check_shape(x)
        flat = to_rows(x)
        y = empty((len(x), self.units), x.dtype)
        bias = self.learned["bias"].memory if self.bias else None
        dense.dense_forward(flat, self.learned["weight"].memory, bias, y, relu)
        return y, (flat, x.shape)

    def _infer(self, x: Array, relu: bool = False) -> Array:
        return self._forward(x, False, relu)[0]

    def _backward(self, dy: Array, cache: Any, need_dx: bool, gate: bool = False) -> Array | None:
        (x, shape), dy = cache, np.ascontiguousarray(dy)
        weight, dx = self.learned["weight"], empty(x.shape, x.dtype) if need_dx else None
        dbias = self.learned["bias"].dmemory if self.bias else None
        dense.dense_backward(x, dy, weight.memory, weight.dmemory, dbias, dx, gate)
        return None if dx is None else dx.reshape(shape)
