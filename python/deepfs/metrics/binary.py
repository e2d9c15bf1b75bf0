"""Precision, recall and F1 score of labels that do not exclude each other."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .._check import number, one_of
from ._base import Array
from .confusion import AVERAGES, averaged
from .per_sample import said_and_so


def binary_precision(
    outputs: ArrayLike,
    targets: ArrayLike,
    average: str | None = "macro",
    zero_division: float = 0.0,
    threshold: float = 0.0,
) -> Any:
    """Precision of yes-or-no outputs: the part of the ones predicted that are right.

    Parameters
    ----------
    outputs : array (n, ...)
        Logits, or probabilities with ``threshold=0.5``. Above the threshold they predict 1. The
        second axis, if there is one, is that of the labels.
    targets : array (n, ...)
        0 or 1, of the outputs' shape.
    average : {"macro", "micro", "weighted", None}
        "macro": the mean over the labels. "micro": counts are added over the labels first.
        "weighted": the mean weighted by the number of ones of each label. None: one number per
        label. Of a single label they are the same.
    zero_division : float
        Result where nothing is predicted, in [0, 1].
    threshold : float
        Boundary between the predictions 0 and 1.

    Returns
    -------
    float, or array (labels,)
        In [0, 1]. It is scikit-learn's ``precision_score(targets, outputs > threshold)``.

    Raises
    ------
    ValueError
        If outputs and targets differ in shape, an output is NaN, or a setting is out of range.
    TypeError
        If they are not numbers.

    Examples
    --------
    >>> outputs, targets = np.array([[2.0, -1.0], [0.5, 3.0]]), np.array([[1, 0], [0, 1]])
    >>> binary_precision(outputs, targets, average=None)
    array([0.5, 1. ])
    """
    return _score("precision_score", outputs, targets, average, zero_division, threshold)


def binary_recall(
    outputs: ArrayLike,
    targets: ArrayLike,
    average: str | None = "macro",
    zero_division: float = 0.0,
    threshold: float = 0.0,
) -> Any:
    """Recall of yes-or-no outputs: the part of the ones that are predicted.

    Parameters
    ----------
    outputs, targets, average, threshold : array, array, str or None, float
        See `binary_precision`.
    zero_division : float
        Result for a label without ones, in [0, 1].

    Returns
    -------
    float, or array (labels,)
        In [0, 1].

    Raises
    ------
    ValueError, TypeError
        As `binary_precision`.

    Examples
    --------
    >>> outputs, targets = np.array([[2.0, -1.0], [0.5, 3.0]]), np.array([[1, 1], [0, 1]])
    >>> binary_recall(outputs, targets, average=None)
    array([1. , 0.5])
    """
    return _score("recall_score", outputs, targets, average, zero_division, threshold)


def binary_f1(
    outputs: ArrayLike,
    targets: ArrayLike,
    average: str | None = "macro",
    zero_division: float = 0.0,
    threshold: float = 0.0,
) -> Any:
    """F1 score of yes-or-no outputs: the harmonic mean of precision and recall.

    Parameters
    ----------
    outputs, targets, average, threshold : array, array, str or None, float
        See `binary_precision`.
    zero_division : float
        Result for a label of which there are no ones, predicted or right, in [0, 1].

    Returns
    -------
    float, or array (labels,)
        In [0, 1].

    Raises
    ------
    ValueError, TypeError
        As `binary_precision`.

    Examples
    --------
    >>> outputs, targets = np.array([[2.0, -1.0], [0.5, 3.0]]), np.array([[1, 1], [0, 1]])
    >>> binary_f1(outputs, targets, average=None).round(3)
    array([0.667, 0.667])
    """
    return _score("f1_score", outputs, targets, average, zero_division, threshold)


def _score(
    score: str,
    outputs: ArrayLike,
    targets: ArrayLike,
    average: str | None,
    zero_division: float,
    threshold: float,
) -> Any:
    one_of(average, "average", AVERAGES)
    empty = number(zero_division, "zero_division", "[0, 1]")
    who = f"binary_{score.removesuffix('_score')}"
    return binary_average(score, counts_of(outputs, targets, threshold, who), average, empty)


def counts_of(
    outputs: ArrayLike,
    targets: ArrayLike,
    threshold: float,
    who: str,
    weight: Array | None = None,
) -> Array:
    """Return (3, labels): true positives, predicted ones and right ones of each label."""
    predicted, right, nan = said_and_so(outputs, targets, threshold, who)
    if nan.any():
        raise ValueError(f"{who} takes outputs without NaN, got {nan.sum()}")
    found = np.stack([predicted & right, predicted, right]).astype(np.float64)
    if weight is not None:
        found *= weight.reshape((-1,) + (1,) * (predicted.ndim - 1))
    rest = (1, *range(3, found.ndim))
    return found.sum(axis=rest).reshape(3, -1)


def binary_average(score: str, counts: Array, average: str | None, empty: float) -> Any:
    """Return a score, given the counts; the macro mean is over all labels, as scikit-learn's."""
    hits, taken, there = counts
    scores = averaged(score, hits, taken, there, None if average == "macro" else average, empty)
    if average != "macro":
        return scores
    return float(scores.mean()) if len(scores) else empty
