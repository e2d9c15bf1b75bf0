"""Negative log-likelihood of log-probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .._arrays import Array, ignore_overflow
from .._check import array, one_of
from .._labels import known_labels
from ._base import REDUCTIONS, Loss, Scale, Terms, weighted, weights_of
from ._classes import (
    as_given,
    by_class,
    check_class_weight,
    check_ignore_index,
    check_label_shape,
    class_rows,
    times,
)
from ._output_kinds import LOG_PROBABILITIES


@dataclass(eq=False)
class NegativeLogLikelihood(Loss):
    r"""Negative log-likelihood (NLL) loss of log-probabilities, such as `LogSoftmax` returns.

    .. math:: \ell_i = -x_{i y_i}, \quad
              \frac{\partial \ell_i}{\partial x_{ik}} = -[k = y_i]

    Parameters
    ----------
    class_weight : sequence of float, optional
        Weight of each class, at least 0; it multiplies the terms of samples with that label.
    ignore_index : int, optional
        Label of samples to leave out.
    reduction : {"mean", "sum", "none"}
        The mean divides by the sum of the class weights of the labels times the sample weights.

    Raises
    ------
    ValueError
        If a setting is out of range, or, on call, if shapes do not fit or a label is not one of the
        classes.
    TypeError
        If labels are not integers.

    Notes
    -----
    Shapes: log-probabilities ``(n, C, ...)``, labels ``(n, ...)``. If every sample is ignored, the
    loss is 0. `CrossEntropy` computes the same from logits, faster and without loss of digits.
    NumPy reference: `deepfs.reference.negative_log_likelihood`.

    References
    ----------
    Bishop, "Pattern Recognition and Machine Learning", 2006, section 4.3.4.

    Examples
    --------
    >>> from deepfs.losses import NegativeLogLikelihood
    >>> round(NegativeLogLikelihood()(np.log([[0.25, 0.75]]), np.array([1])), 4)
    0.2877
    """

    class_weight: Sequence[float] | None = None
    ignore_index: int | None = None
    reduction: str = "mean"

    output_kind = LOG_PROBABILITIES

    def __post_init__(self) -> None:
        self.class_weight = check_class_weight(self.class_weight)
        self.ignore_index = check_ignore_index(self.ignore_index)
        one_of(self.reduction, "reduction", REDUCTIONS)

    def terms(
        self, outputs: ArrayLike, targets: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> Terms:
        who = "NegativeLogLikelihood"
        targets = array(targets, who)
        rows, shape = class_rows(outputs, who, "log-probabilities")
        label_shape = check_label_shape(targets, shape, who)
        of_class = by_class(self.class_weight, rows.shape[1], who)
        label, keep = known_labels(targets, rows.shape[1], who, self.ignore_index)
        weight = times(
            weights_of(sample_weight, label_shape, who),
            keep,
            None if of_class is None else of_class[label],
        )
        values = -rows[np.arange(len(rows)), label.reshape(-1)].reshape(label_shape)
        if weight is not None:
            with ignore_overflow():
                values = weighted(values, weight)
        counted = float(label.size if weight is None else weight.sum())
        return values, counted, (label, weight, shape, rows.dtype)

    def _gradient(self, cache: Any, scale: Scale) -> Array:
        label, weight, shape, dtype = cache
        dx = np.zeros((label.size, shape[1]), dtype)
        with ignore_overflow():
            each = np.broadcast_to(scale if weight is None else scale * weight, label.shape)
            dx[np.arange(label.size), label.reshape(-1)] = -each.reshape(-1)
        return as_given(dx, shape)
