"""Mean squared error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .._arrays import Array, ignore_overflow
from .._check import flag, one_of
from ._base import REDUCTIONS, ElementWise, Scale, Terms, real_outputs, weights_of
from ._output_kinds import NUMBERS


@dataclass(eq=False)
class MeanSquaredError(ElementWise):
    r"""Mean squared error (MSE, L2) loss.

    .. math:: \ell_{ij} = (y_{ij} - t_{ij})^2, \quad
              \frac{\partial \ell_{ij}}{\partial y_{ij}} = 2 (y_{ij} - t_{ij})

    Parameters
    ----------
    textbook : bool
        Make one term per sample, half the sum of its squares; the mean is then over the samples.
    reduction : {"mean", "sum", "none"}
        Over all numbers, as in PyTorch.

    Raises
    ------
    ValueError
        If ``reduction`` is unknown, or, on call, if outputs and targets differ in shape.
    TypeError
        If outputs or targets are not real numbers.

    Notes
    -----
    Shapes: outputs and targets ``(n, ...)``; terms the same, or ``(n,)`` with ``textbook``.
    NumPy reference: `deepfs.reference.mean_squared_error`.

    References
    ----------
    Bishop, "Pattern Recognition and Machine Learning", 2006, section 3.1.

    Examples
    --------
    >>> from deepfs.losses import MeanSquaredError
    >>> MeanSquaredError()(np.array([[1.0, 3.0]]), np.array([[0.0, 0.0]]))
    5.0
    """

    textbook: bool = False
    reduction: str = "mean"

    output_kind = NUMBERS

    def __post_init__(self) -> None:
        self.textbook = flag(self.textbook, "textbook")
        one_of(self.reduction, "reduction", REDUCTIONS)

    def terms(
        self, outputs: ArrayLike, targets: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> Terms:
        if not self.textbook:
            return super().terms(outputs, targets, sample_weight)
        outputs = real_outputs(outputs, "MeanSquaredError")
        weight = weights_of(sample_weight, outputs.shape[:1], "MeanSquaredError")
        squares, _, cache = super().terms(outputs, targets, weight)
        with ignore_overflow():
            sums = squares.sum(axis=tuple(range(1, squares.ndim)), dtype=np.float64)
            values = (0.5 * sums).astype(squares.dtype)
        return values, float(len(outputs) if weight is None else weight.sum()), cache

    def _gradient(self, cache: Any, scale: Scale) -> Array:
        if not self.textbook:
            return super()._gradient(cache, scale)
        if not isinstance(scale, float):
            shape = cache[0].shape
            scale = np.broadcast_to(scale.reshape((-1,) + (1,) * (len(shape) - 1)), shape)
        return super()._gradient(cache, 0.5 * scale)

    def _value(self, y: Array, t: Array) -> Array:
        return np.square(y - t)

    def _slope(self, y: Array, t: Array) -> Array:
        return 2 * (y - t)
