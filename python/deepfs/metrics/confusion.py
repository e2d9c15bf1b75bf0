"""Confusion matrix, precision, recall and F1 score of a whole data set."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .._check import array, number, one_of, whole
from .._labels import known_labels
from ._base import INSTEAD, Array, class_scores, right_classes

MAX_CLASSES = 10_000  # their matrix takes 0.8 GB
AVERAGES = ("macro", "micro", "weighted", None)


def confusion_matrix(y_true: ArrayLike, y_pred: ArrayLike, classes: int | None = None) -> Array:
    """Confusion matrix: how many samples of each class were predicted as each class.

    Parameters
    ----------
    y_true : array (n, ...) of integers, or (n, classes, ...)
        The right classes, or their probabilities. The order of arguments is scikit-learn's.
    y_pred : array (n, classes, ...), or of integers (n, ...)
        Logits or probabilities, whose largest entry is the prediction; or predicted classes, of the
        shape of the labels.
    classes : int, optional
        Number of classes. By default that of the outputs; of predicted classes, up to the largest.

    Returns
    -------
    array (classes, classes) of int64
        Entry i, j: number of samples of class i that were predicted as class j.

    Raises
    ------
    ValueError
        If shapes do not fit, a label is not a class, or an output is NaN.
    TypeError
        If outputs are not numbers, or labels are not integers.

    References
    ----------
    ``sklearn.metrics.confusion_matrix``.

    Examples
    --------
    >>> confusion_matrix(np.array([0, 1, 2, 2]), np.array([0, 1, 1, 2]))
    array([[1, 0, 0],
           [0, 1, 0],
           [0, 1, 1]])
    """
    return matrix_of(y_true, y_pred, classes, "confusion_matrix").astype(np.int64)


def precision_score(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    average: str | None = "macro",
    zero_division: float = 0.0,
) -> Any:
    """Precision: the part of the predictions of a class that are right, TP / (TP + FP).

    Parameters
    ----------
    y_true, y_pred : array
        See `confusion_matrix`. For labels that do not exclude each other: `binary_precision`.
    average : {"macro", "micro", "weighted", None}
        "macro": the mean over the classes that occur among targets or predictions. "micro": counts
        are added over the classes first, which gives the accuracy. "weighted": the mean weighted by
        the number of samples of each class. None: one number per class. scikit-learn's default,
        "binary", is ``average=None`` at class 1.
    zero_division : float
        Result for a class that was never predicted, in [0, 1].

    Returns
    -------
    float, or array (classes,)
        In [0, 1].

    Raises
    ------
    ValueError, TypeError
        As `confusion_matrix`, and if a setting is out of range.

    References
    ----------
    ``sklearn.metrics.precision_score``.

    Examples
    --------
    >>> precision_score(np.array([0, 1, 2, 2]), np.array([0, 1, 1, 2]), average=None)
    array([1. , 0.5, 1. ])
    """
    return _score("precision_score", y_true, y_pred, average, zero_division)


def recall_score(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    average: str | None = "macro",
    zero_division: float = 0.0,
) -> Any:
    """Recall: the part of the samples of a class that were predicted as it, TP / (TP + FN).

    Parameters
    ----------
    y_true, y_pred, average : array, array, str or None
        See `precision_score`.
    zero_division : float
        Result for a class without samples, in [0, 1].

    Returns
    -------
    float, or array (classes,)
        In [0, 1].

    Raises
    ------
    ValueError, TypeError
        As `precision_score`.

    References
    ----------
    ``sklearn.metrics.recall_score``.

    Examples
    --------
    >>> recall_score(np.array([0, 1, 2, 2]), np.array([0, 1, 1, 2]), average=None)
    array([1. , 1. , 0.5])
    """
    return _score("recall_score", y_true, y_pred, average, zero_division)


def f1_score(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    average: str | None = "macro",
    zero_division: float = 0.0,
) -> Any:
    """F1 score: the harmonic mean of precision and recall, 2 TP / (2 TP + FP + FN).

    Parameters
    ----------
    y_true, y_pred, average : array, array, str or None
        See `precision_score`. The macro mean is the mean of the F1 scores of the classes.
    zero_division : float
        Result for a class that neither occurs nor is predicted, in [0, 1].

    Returns
    -------
    float, or array (classes,)
        In [0, 1].

    Raises
    ------
    ValueError, TypeError
        As `precision_score`.

    References
    ----------
    ``sklearn.metrics.f1_score``.

    Examples
    --------
    >>> f1_score(np.array([0, 1, 2, 2]), np.array([0, 1, 1, 2]), average=None).round(3)
    array([1.   , 0.667, 0.667])
    """
    return _score("f1_score", y_true, y_pred, average, zero_division)


def matrix_of(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    classes: int | None,
    who: str,
    weight: Array | None = None,
) -> Array:
    """Return the confusion matrix, weighted per sample; ``who`` is the function errors name."""
    outputs, targets = array(y_pred, who), array(y_true, who)
    if outputs.shape == targets.shape and outputs.dtype.kind in "iu" and targets.dtype.kind in "iu":
        if outputs.ndim < 1:
            raise ValueError(f"{who} takes a batch of classes, got a single one")
        check_no_indicators(outputs, targets, who)
        most = 1 + max(int(outputs.max(initial=0)), int(targets.max(initial=0)))
        count = most if classes is None else whole(classes, "classes")
        check_count(count, who)
        found = known_labels(outputs, count, who)[0]
        right = known_labels(targets, count, who)[0]
    else:
        check_order(outputs, targets, who)
        outputs = class_scores(outputs, who)
        count = outputs.shape[1]
        if classes is not None and whole(classes, "classes") != count:
            raise ValueError(f"{who} of {classes} classes takes as many outputs, got {count}")
        check_count(count, who)
        if np.isnan(outputs).any():
            raise ValueError(f"{who} takes outputs without NaN, got {np.isnan(outputs).sum()}")
        found, right = outputs.argmax(axis=1), right_classes(outputs, targets, who)
    if weight is not None:  # per sample: of all its pixels
        weight = np.broadcast_to(weight.reshape((-1,) + (1,) * (right.ndim - 1)), right.shape)
        weight = weight.reshape(-1)
    pairs = (count * right + found).reshape(-1).astype(np.intp)
    pairs = np.bincount(pairs, weight, minlength=count * count)
    return pairs.reshape(count, count)


def check_count(classes: int, who: str) -> None:
    """Raise ValueError for more than `MAX_CLASSES` classes."""
    if classes > MAX_CLASSES:
        raise ValueError(f"{who} takes at most {MAX_CLASSES} classes, got {classes}")


def check_no_indicators(outputs: Array, targets: Array, who: str) -> None:
    """Refuse two arrays (n, k) of zeros and ones: they may be k labels, or k pixels, per sample."""
    if outputs.ndim != 2 or outputs.shape[1] < 2 or not outputs.size:
        return
    if max(outputs.max(), targets.max()) == 1 and min(outputs.min(), targets.min()) == 0:
        raise ValueError(
            f"{who} takes one class per sample, got two arrays {outputs.shape} of 0 and 1: for "
            f"labels that do not exclude each other use {INSTEAD[who]}; for a label per pixel, "
            "y_true.ravel() and y_pred.ravel()"
        )


def check_order(outputs: Array, targets: Array, who: str) -> None:
    """Raise ValueError if predictions and right classes have changed places."""
    labels = outputs.dtype.kind in "iu" and outputs.shape == targets.shape[:1] + targets.shape[2:]
    labels = labels and targets.ndim >= 2 and targets.shape[1:2] != (1,)
    numbers = targets.dtype.kind == "f" and outputs.dtype.kind in "biuf"
    if outputs.shape == targets.shape and numbers:  # what is sure as truth?
        labels = not np.isin(targets, (0, 1)).all() and bool(np.isin(outputs, (0, 1)).all())
    if labels:
        raise ValueError(
            f"{who} takes (y_true, y_pred) in scikit-learn's order, got {targets.dtype} "
            f"{targets.shape} as right classes and {outputs.dtype} {outputs.shape} as predictions: "
            "exchange them"
        )


def _score(
    who: str, y_true: ArrayLike, y_pred: ArrayLike, average: str | None, zero_division: float
) -> Any:
    one_of(average, "average", AVERAGES)
    empty = number(zero_division, "zero_division", "[0, 1]")
    return score_of(who, matrix_of(y_true, y_pred, None, who), average, empty)


def score_of(who: str, matrix: Array, average: str | None, empty: float) -> Any:
    """Return a score, given the confusion matrix."""
    return averaged(who, np.diag(matrix), matrix.sum(axis=0), matrix.sum(axis=1), average, empty)


def averaged(
    who: str, hits: Array, taken: Array, there: Array, average: str | None, empty: float
) -> Any:
    """Return a score, given true positives, predictions and samples of each class."""
    above, below = {
        "precision_score": (hits, taken),
        "recall_score": (hits, there),
        "f1_score": (2 * hits, taken + there),
    }[who]
    if average == "micro":
        return float(above.sum() / below.sum()) if below.sum() else empty
    scores = np.where(below > 0, above / np.where(below > 0, below, 1), empty)
    if average is None:
        return scores
    weight = there if average == "weighted" else (taken + there > 0).astype(np.int64)
    return float((scores * weight).sum() / weight.sum()) if weight.sum() else empty
