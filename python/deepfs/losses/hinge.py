"""Multi-class hinge loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .._arrays import Array, ignore_overflow
from .._check import array, number, one_of
from .._labels import known_labels
from ._base import REDUCTIONS, Loss, Scale, Terms, weighted, weights_of
from ._classes import as_given, check_label_shape, class_rows
from ._output_kinds import SCORES


@dataclass(eq=False)
class Hinge(Loss):
    r"""Multi-class hinge loss (support vector machine): a margin between right and wrong classes.

    .. math:: \ell_i = \sum_{k \ne y_i} \max(0, m + s_{ik} - s_{i y_i})

    The gradient with respect to the score of a wrong class is 1 where its term is above 0, else 0;
    with respect to the score of the right class, it is minus the number of such terms.

    Parameters
    ----------
    margin : float
        Margin m by which the score of the right class should exceed each other, at least 0.
    reduction : {"mean", "sum", "none"}
        Over the samples.

    Raises
    ------
    ValueError
        If a setting is out of range, or, on call, if shapes do not fit or a label is not one of the
        classes.
    TypeError
        If labels are not integers.

    Notes
    -----
    Shapes: scores ``(n, C, ...)``, labels ``(n, ...)``. At a kink the gradient is that of the flat
    side. PyTorch's MultiMarginLoss is this divided by the number of classes.
    NumPy reference: `deepfs.reference.hinge`.

    References
    ----------
    Weston and Watkins, "Multi-class support vector machines", 1998; the notes of Stanford's CS231n.

    Examples
    --------
    >>> from deepfs.losses import Hinge
    >>> round(Hinge()(np.array([[3.2, 5.1, -1.7]]), np.array([0])), 4)
    2.9
    """

    margin: float = 1.0
    reduction: str = "mean"

    output_kind = SCORES

    def __post_init__(self) -> None:
        self.margin = number(self.margin, "margin", "[0, inf)")
        one_of(self.reduction, "reduction", REDUCTIONS)

    def terms(
        self, outputs: ArrayLike, targets: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> Terms:
        rows, shape = class_rows(outputs, "Hinge", "scores")
        targets = array(targets, "Hinge")
        label_shape = check_label_shape(targets, shape, "Hinge")
        label = known_labels(targets, rows.shape[1], "Hinge")[0].reshape(-1)
        weight = weights_of(sample_weight, label_shape, "Hinge")
        right = (np.arange(len(rows)), label)
        with ignore_overflow():
            short = rows - rows[right][:, None] + rows.dtype.type(self.margin)
            short[right] = 0
            short = np.maximum(short, 0)
            values = short.sum(axis=1, dtype=np.float64).astype(rows.dtype).reshape(label_shape)
            if weight is not None:
                values = weighted(values, weight)
        counted = float(label.size if weight is None else weight.sum())
        return values, counted, (short, right, weight, shape)

    def _gradient(self, cache: Any, scale: Scale) -> Array:
        short, right, weight, shape = cache
        slope = np.sign(short)  # NaN stays NaN
        slope[right] = -slope.sum(axis=1)
        each = scale if weight is None else scale * weight
        if not isinstance(each, float):
            each = each.reshape(-1, 1)
        with ignore_overflow():
            return as_given(weighted(slope, each), shape)
