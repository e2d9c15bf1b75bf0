"""Binary cross-entropy of logits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .._arrays import Array
from .._check import number, one_of
from ._base import REDUCTIONS, ElementWise, Terms
from ._classes import check_class_weight
from ._output_kinds import BINARY_LOGITS


@dataclass(eq=False)
class BinaryCrossEntropy(ElementWise):
    r"""Binary cross-entropy loss of logits, for one output or several independent labels.

    .. math::
        \ell = w t \log(1 + e^{-x}) + (1 - t) \log(1 + e^{x}), \quad
        \frac{\partial \ell}{\partial x} = (1 - t)\, \sigma(x) - w t\, \sigma(-x)

    Parameters
    ----------
    pos_weight : float or sequence of float, optional
        Weight w of positive targets, at least 0: one number, or one per entry of the second axis.
        The number of negatives divided by the number of positives balances the two.
    reduction : {"mean", "sum", "none"}
        Over all numbers, as in PyTorch's BCEWithLogitsLoss. The mean does not divide by
        ``pos_weight``.

    Raises
    ------
    ValueError
        If a setting is out of range, or, on call, if logits and targets differ in shape, a target
        is not in [0, 1], or the number of weights is not that of the outputs.
    TypeError
        If logits or targets are not real numbers; targets may be bool.

    Notes
    -----
    Shapes: logits and targets ``(n, ...)``. Targets may be probabilities. Exponentials are taken of
    negative numbers only, so no finite logit overflows; an infinite one gives NaN.
    NumPy reference: `deepfs.reference.binary_cross_entropy`.

    References
    ----------
    Bishop, "Pattern Recognition and Machine Learning", 2006, section 4.3.2.

    Examples
    --------
    >>> from deepfs.losses import BinaryCrossEntropy
    >>> round(BinaryCrossEntropy()(np.array([[0.0]]), np.array([[1]])), 4)
    0.6931
    """

    pos_weight: float | Sequence[float] | None = None
    reduction: str = "mean"

    output_kind = BINARY_LOGITS
    _target_kinds = "fiub"

    def __post_init__(self) -> None:
        weight = self.pos_weight
        if isinstance(weight, (Sequence, np.ndarray)) and not isinstance(weight, str):
            self.pos_weight = check_class_weight(weight, "pos_weight")
        elif weight is not None:
            self.pos_weight = number(weight, "pos_weight", "[0, inf)")
        one_of(self.reduction, "reduction", REDUCTIONS)

    def terms(
        self, outputs: ArrayLike, targets: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> Terms:
        result = super().terms(outputs, targets, sample_weight)
        t = result[2][1]
        wrong = (t < 0) | (t > 1)
        if wrong.any():
            at = tuple(map(int, np.unravel_index(wrong.argmax(), t.shape)))
            raise ValueError(
                f"BinaryCrossEntropy takes targets from 0 to 1, got {t[at]} at index {at}"
            )
        return result

    def _weight(self, x: Array) -> Any:
        """Return the weight of positive targets, in a shape that broadcasts to the logits."""
        if self.pos_weight is None:
            return 1
        if isinstance(self.pos_weight, float):
            return x.dtype.type(self.pos_weight)
        if x.ndim < 2 or x.shape[1] != len(self.pos_weight):
            raise ValueError(
                f"BinaryCrossEntropy has weights of {len(self.pos_weight)} outputs, "
                f"got logits {x.shape}"
            )
        return np.asarray(self.pos_weight, x.dtype).reshape((-1,) + (1,) * (x.ndim - 2))

    def _value(self, y: Array, t: Array) -> Array:
        tail = np.log1p(np.exp(-np.abs(y)))
        against, by = np.maximum(y, 0) + tail, np.maximum(-y, 0) + tail
        return (1 - t) * against + self._weight(y) * t * by

    def _slope(self, y: Array, t: Array) -> Array:
        e = np.exp(-np.abs(y))
        one = np.ones_like(e)
        yes, no = np.where(y > 0, one, e) / (1 + e), np.where(y > 0, e, one) / (1 + e)
        return (1 - t) * yes - self._weight(y) * t * no
