"""The dense layer. Kernel: ``src/cnn_core/dense.pyx``.

Read this after `_base.py`: a whole layer in a hundred lines. Then read its kernel.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from cnn_core import dense

from .. import initializers
from .._arrays import Array, Shape, empty, flat_rows
from .._check import MAX_EXTENT, flag, whole
from ._base import Layer
from ._fusion import PLAIN, Epilogue


@dataclass(eq=False)
class Dense(Layer):
    r"""Dense (fully connected, linear) layer: multiply by a matrix and add a bias.

    .. math:: y = x W + b, \quad dW = x^T dy, \quad db = \sum_n dy, \quad dx = dy\, W^T

    Parameters
    ----------
    units : int
        Number of outputs per sample, at least 1.
    bias : bool
        Add a learned number per unit.
    initializer : str or function
        Initial values of the weight, see `deepfs.initializers`; the bias starts at 0.

    Raises
    ------
    TypeError, ValueError
        If a setting is of the wrong kind or out of range; ValueError on call, if a sample does not
        have as many numbers as those of the first input.

    Notes
    -----
    Shapes: ``(n, ...)`` to ``(n, units)``; everything after the batch axis is flattened, in the
    logical order. ``weight`` is ``(in, units)``, the transpose of PyTorch's; ``bias`` ``(units,)``.
    NumPy reference: `deepfs.reference.dense`.

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

    # the kernels can apply the ReLU after this layer, and the gradient of a ReLU before it
    fuses_forward, fuses_backward = frozenset({"relu"}), frozenset({"drelu"})

    def __post_init__(self) -> None:
        self.units = whole(self.units, "units", most=MAX_EXTENT)
        self.bias = flag(self.bias, "bias")
        initializers.get(self.initializer)  # raises for an unknown one

    def _out_shape(self, in_shape: Shape) -> Shape:
        check_length(self, in_shape)
        return (self.units,)

    def multiply_adds(self, in_shape: Shape) -> int:
        return prod(in_shape) * self.units

    def _build(self, in_shape: Shape, dtype: np.dtype[Any]) -> None:
        self.add_parameter("weight", (prod(in_shape), self.units), dtype, self.initializer)
        if self.bias:
            self.add_parameter("bias", (self.units,), dtype)

    def _forward(self, x: Array, training: bool, end: Epilogue = PLAIN) -> tuple[Array, Any]:
        self.check_shape(x)
        flat = flat_rows(x)
        y = empty((len(x), self.units), x.dtype)
        bias = self.learned["bias"].storage if self.bias else None
        dense.dense_forward(flat, self.learned["weight"].storage, bias, y, end.relu)
        return y, (flat, x.shape)

    def _backward(
        self, dy: Array, cache: Any, need_dx: bool, end: Epilogue = PLAIN
    ) -> Array | None:
        (x, shape), dy = cache, np.ascontiguousarray(dy)
        weight, dx = self.learned["weight"], empty(x.shape, x.dtype) if need_dx else None
        dweight = None if weight._frozen else weight.dstorage
        bias = self.learned["bias"] if self.bias else None
        dbias = None if bias is None or bias._frozen else bias.dstorage
        dense.dense_backward(x, dy, weight.storage, dweight, dbias, dx, end.drelu)
        return None if dx is None else dx.reshape(shape)


def check_length(layer: Layer, in_shape: Shape) -> None:
    """Raise ValueError if a sample does not have the number of entries the layer was built for."""
    length = prod(in_shape)
    takes = prod(layer.in_shape) if layer.in_shape is not None else length
    if not in_shape or length != takes or length < 1:
        raise ValueError(
            f"{layer.label} takes inputs of {max(takes, 1)} numbers, got shape {in_shape}"
        )
