"""Mean absolute error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .._arrays import Array
from .._check import one_of
from ._base import REDUCTIONS, ElementWise
from ._output_kinds import NUMBERS


@dataclass(eq=False)
class MeanAbsoluteError(ElementWise):
    r"""Mean absolute error (MAE, L1) loss.

    .. math:: \ell_{ij} = |y_{ij} - t_{ij}|, \quad
              \frac{\partial \ell_{ij}}{\partial y_{ij}} = \operatorname{sign}(y_{ij} - t_{ij})

    Parameters
    ----------
    reduction : {"mean", "sum", "none"}
        Over all numbers, as in PyTorch's L1Loss.

    Raises
    ------
    ValueError
        If ``reduction`` is unknown, or, on call, if outputs and targets differ in shape.
    TypeError
        If outputs or targets are not real numbers.

    Notes
    -----
    Shapes: outputs and targets ``(n, ...)``. Where they are equal, the gradient is 0. The constant
    that fits best is the median, so outliers have little effect.
    NumPy reference: `deepfs.reference.mean_absolute_error`.

    References
    ----------
    Hastie, Tibshirani and Friedman, "The Elements of Statistical Learning", 2009, section 10.6.

    Examples
    --------
    >>> from deepfs.losses import MeanAbsoluteError
    >>> MeanAbsoluteError()(np.array([[1.0, -3.0]]), np.array([[0.0, 0.0]]))
    2.0
    """

    reduction: str = "mean"

    output_kind = NUMBERS

    def __post_init__(self) -> None:
        one_of(self.reduction, "reduction", REDUCTIONS)

    def _value(self, y: Array, t: Array) -> Array:
        return np.abs(y - t)

    def _slope(self, y: Array, t: Array) -> Array:
        return np.sign(y - t)
