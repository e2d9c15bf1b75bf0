"""Huber loss."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .._arrays import Array
from .._check import number, one_of
from ._base import REDUCTIONS, ElementWise
from ._output_kinds import NUMBERS


@dataclass(eq=False)
class Huber(ElementWise):
    r"""Huber loss: squared error for small differences, absolute error for large ones.

    .. math:: d = y - t, \quad m = \min(|d|, \delta), \quad \ell = m \Bigl(|d| - \frac{m}{2}\Bigr),
              \quad \frac{\partial \ell}{\partial y} = \min(\max(d, -\delta), \delta)

    Parameters
    ----------
    delta : float
        Difference at which the parabola d^2 / 2 becomes a straight line, above 0.
    reduction : {"mean", "sum", "none"}
        Over all numbers, as in PyTorch's HuberLoss.

    Raises
    ------
    ValueError
        If a setting is out of range, or, on call, if outputs and targets differ in shape.
    TypeError
        If outputs or targets are not real numbers.

    Notes
    -----
    Shapes: outputs and targets ``(n, ...)``. Value and slope are continuous at
    ``delta``. With ``delta=1`` this is PyTorch's SmoothL1Loss.
    NumPy reference: `deepfs.reference.huber`.

    References
    ----------
    Huber, "Robust estimation of a location parameter", 1964.

    Examples
    --------
    >>> from deepfs.losses import Huber
    >>> Huber(reduction="none")(np.array([0.5, 3.0]), np.array([0.0, 0.0]))
    array([0.125, 2.5  ])
    """

    delta: float = 1.0
    reduction: str = "mean"

    output_kind = NUMBERS

    def __post_init__(self) -> None:
        self.delta = number(self.delta, "delta", "(0, inf)")
        one_of(self.reduction, "reduction", REDUCTIONS)

    def _value(self, y: Array, t: Array) -> Array:
        size = np.abs(y - t)
        small = np.minimum(size, y.dtype.type(self.delta))
        return small * (size - small / 2)

    def _slope(self, y: Array, t: Array) -> Array:
        delta = y.dtype.type(self.delta)
        return np.clip(y - t, -delta, delta)
