"""Which class was taken for which, and what follows from it: of a whole data set at once."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .._check import array, number, one_of, whole
from .._labels import known_labels
from ._base import Array, class_scores, right_classes

MOST = 10_000  # classes: their matrix takes 0.8 GB


def confusion_matrix(outputs: ArrayLike, targets: ArrayLike, classes: int | None = None) -> Array:
    """Count how often each class was taken for which.

    Parameters
    ----------
    outputs : array (n, classes, ...), or of integers (n, ...)
        Logits or probabilities, of which the largest counts; or classes, if they have the shape of
        the labels.
    targets : array (n, ...) of integers, or (n, classes, ...)
        The right classes, or their probabilities.
    classes : int, optional
        How many there are. By default, as many as outputs; of given classes, up to the largest.

    Returns
    -------
    array (classes, classes) of int64
        Entry i, j: samples of class i that were taken for class j.

    Raises
    ------
    ValueError
        If shapes do not fit, a label is no class, or an output is NaN.
    TypeError
        If outputs are not numbers or labels not integers.

    References
    ----------
    ``sklearn.metrics.confusion_matrix``, whose arguments come in the other order.

    Examples
    --------
    >>> confusion_matrix(np.array([0, 1, 1, 2]), np.array([0, 1, 2, 2]))
    array([[1, 0, 0],
           [0, 1, 0],
           [0, 1, 1]])
    """
    return _matrix(outputs, targets, classes, "confusion_matrix")


def precision_score(
    outputs: ArrayLike,
    targets: ArrayLike,
    average: str | None = "macro",
    zero_division: float = 0.0,
) -> Any:
    """Return which part of the samples taken for a class are of it: TP / (TP + FP).

    Parameters
    ----------
    outputs, targets : array
        As for `confusion_matrix`.
    average : {"macro", "micro", "weighted", None}
        The mean over the classes that occur among targets or predictions; of all samples alike
        (then it is the accuracy); the mean by samples of each class; or one number per class.
    zero_division : float
        Result for a class that no sample was taken for, in [0, 1].

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
    ``sklearn.metrics.precision_score``, whose arguments come in the other order.

    Examples
    --------
    >>> precision_score(np.array([0, 1, 1, 2]), np.array([0, 1, 2, 2]), average=None)
    array([1. , 0.5, 1. ])
    """
    return _score("precision_score", outputs, targets, average, zero_division)


def recall_score(
    outputs: ArrayLike,
    targets: ArrayLike,
    average: str | None = "macro",
    zero_division: float = 0.0,
) -> Any:
    """Return which part of the samples of a class were taken for it: TP / (TP + FN).

    Parameters
    ----------
    outputs, targets, average : array, array, str or None
        As for `precision_score`.
    zero_division : float
        Result for a class of which there is no sample, in [0, 1].

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
    ``sklearn.metrics.recall_score``, whose arguments come in the other order.

    Examples
    --------
    >>> recall_score(np.array([0, 1, 1, 2]), np.array([0, 1, 2, 2]), average=None)
    array([1. , 1. , 0.5])
    """
    return _score("recall_score", outputs, targets, average, zero_division)


def f1_score(
    outputs: ArrayLike,
    targets: ArrayLike,
    average: str | None = "macro",
    zero_division: float = 0.0,
) -> Any:
    """Return the harmonic mean of precision and recall: 2 TP / (2 TP + FP + FN).

    Parameters
    ----------
    outputs, targets, average : array, array, str or None
        As for `precision_score`. The macro mean is that of the classes' own F1.
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
    ``sklearn.metrics.f1_score``, whose arguments come in the other order.

    Examples
    --------
    >>> f1_score(np.array([0, 1, 1, 2]), np.array([0, 1, 2, 2]), average=None).round(3)
    array([1.   , 0.667, 0.667])
    """
    return _score("f1_score", outputs, targets, average, zero_division)


def _matrix(outputs: ArrayLike, targets: ArrayLike, classes: int | None, who: str) -> Array:
    """Do the work of `confusion_matrix`."""
    outputs, targets = array(outputs, who), array(targets, who)
    if outputs.shape == targets.shape and outputs.dtype.kind in "iu" and targets.dtype.kind in "iu":
        if outputs.ndim < 1:
            raise ValueError(f"{who} takes a batch of classes, got a single one")
        most = 1 + max(int(outputs.max(initial=0)), int(targets.max(initial=0)))
        count = most if classes is None else whole(classes, "classes")
        check_count(count, who)
        found = known_labels(outputs, count, who)[0]
        right = known_labels(targets, count, who)[0]
    else:
        outputs = class_scores(outputs, who)
        count = outputs.shape[1]
        if classes is not None and whole(classes, "classes") != count:
            raise ValueError(f"{who} of {classes} classes takes as many outputs, got {count}")
        check_count(count, who)
        if np.isnan(outputs).any():
            raise ValueError(f"{who} takes outputs without NaN, got {np.isnan(outputs).sum()}")
        found, right = outputs.argmax(axis=1), right_classes(outputs, targets, who)
    pairs = np.bincount((count * right + found).reshape(-1), minlength=count * count)
    return pairs.reshape(count, count)


def check_count(classes: int, who: str) -> None:
    """Raise ValueError for more classes than a matrix should have."""
    if classes > MOST:
        raise ValueError(f"{who} takes at most {MOST} classes, got {classes}")


def _score(
    who: str, outputs: ArrayLike, targets: ArrayLike, average: str | None, zero_division: float
) -> Any:
    one_of(average, "average", ("macro", "micro", "weighted", None))
    empty = number(zero_division, "zero_division", "[0, 1]")
    matrix = _matrix(outputs, targets, None, who)
    hits, taken, there = np.diag(matrix), matrix.sum(axis=0), matrix.sum(axis=1)
    above, below = {
        "precision_score": (hits, taken),
        "recall_score": (hits, there),
        "f1_score": (2 * hits, taken + there),
    }[who]
    if average == "micro":
        return float(above.sum() / below.sum()) if below.sum() else empty
    scores = np.where(below > 0, above / np.maximum(below, 1), empty)
    if average is None:
        return scores
    weight = there if average == "weighted" else (taken + there > 0).astype(np.int64)
    return float((scores * weight).sum() / weight.sum()) if weight.sum() else empty
