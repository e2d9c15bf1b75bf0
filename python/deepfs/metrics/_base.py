"""Helpers of metrics: class scores and labels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._check import array, shown, whole
from .._labels import known_labels

Array: TypeAlias = NDArray[Any]
Metric: TypeAlias = Callable[[Any, Any], Any]


def class_scores(outputs: ArrayLike, who: str) -> Array:
    """Return outputs (n, classes, ...) as an array of real numbers."""
    outputs = array(outputs, who)
    if outputs.dtype.kind not in "fiu":
        raise TypeError(f"{who} takes outputs that are real numbers, got {outputs.dtype}")
    if outputs.ndim < 2 or outputs.shape[1] < 2:
        raise ValueError(
            f"{who} needs outputs (n, classes) of at least 2 classes, got {outputs.shape}; "
            "for other tasks use Model(..., metrics=()), for binary outputs binary_accuracy"
        )
    return outputs


def right_classes(outputs: Array, targets: ArrayLike, who: str) -> Array:
    """Return the right class of each sample (or pixel), from labels or from probabilities."""
    targets = array(targets, who)
    if targets.shape == outputs.shape and targets.dtype.kind in "fiu":
        check_one_each(targets, who)
        return targets.argmax(axis=1)
    if targets.shape != outputs.shape[:1] + outputs.shape[2:]:
        raise ValueError(
            f"{who} cannot compare {outputs.shape} with {targets.dtype} targets {targets.shape}"
        )
    return known_labels(targets, outputs.shape[1], who)[0]


def check_one_each(targets: Array, who: str) -> None:
    """Raise ValueError if targets (n, classes, ...) are no probabilities, or not of one class.

    A row of zeros and ones that has not exactly one 1 is labels that do not exclude each other.
    """
    if targets.dtype.kind == "f":
        wrong = ~((targets >= 0) & (targets <= 1.001))
        if wrong.any():
            raise ValueError(
                f"{who} takes labels or probabilities as targets, got {targets[wrong][0]} among "
                f"{targets.dtype} of shape {targets.shape}"
            )
    ones = (targets == 1).sum(axis=1)
    zeros = (targets == 0).sum(axis=1)
    wrong = (ones + zeros == targets.shape[1]) & (ones != 1)
    if targets.dtype.kind in "iu":
        wrong |= ones + zeros != targets.shape[1]
    if wrong.any():
        at = np.unravel_index(wrong.argmax(), wrong.shape)
        row = np.moveaxis(targets, 1, -1)[at]
        index = int(at[0]) if len(at) == 1 else tuple(map(int, at))
        raise ValueError(
            f"{who} takes one class per sample, got {shown(row.tolist())} at index {index}: for "
            f"labels that do not exclude each other use {INSTEAD.get(who, 'binary_accuracy')}"
        )


# metrics of labels that do not exclude each other
INSTEAD = {
    "accuracy": "binary_accuracy or subset_accuracy",
    "top_k_accuracy": "binary_accuracy or subset_accuracy",
    "classification_report": "Model.evaluate(report=True)",
    "confusion_matrix": "it on each column, targets[:, k] and outputs[:, k] > 0",
    "precision_score": "binary_precision",
    "recall_score": "binary_recall",
    "f1_score": "binary_f1",
}


def without_ignored(
    outputs: ArrayLike, targets: ArrayLike, ignore_index: int | None
) -> tuple[Array, Array]:
    """Return outputs and labels without those of ignored samples.

    Parameters
    ----------
    outputs : array (n, classes, ...)
        Logits or probabilities.
    targets : array (n, ...) of integers
        Labels. If they have another form, outputs and targets are returned unchanged.
    ignore_index : int or None
        Label of samples to leave out.

    Returns
    -------
    array (m, classes), array (m,)
        A row and a label for each sample, or pixel, that is not ignored.

    Raises
    ------
    TypeError
        If ``ignore_index`` is not an int.

    Examples
    --------
    >>> outputs, labels = np.array([[1.0, 2.0], [4.0, 3.0]]), np.array([-100, 0])
    >>> without_ignored(outputs, labels, -100)
    (array([[4., 3.]]), array([0]))
    """
    who = "without_ignored"
    outputs, targets = array(outputs, who), array(targets, who)
    by_label = targets.dtype.kind in "iu" and targets.shape == outputs.shape[:1] + outputs.shape[2:]
    if ignore_index is None or outputs.ndim < 2 or not by_label:
        return outputs, targets
    keep = targets != whole(ignore_index, "ignore_index", -(2**62))
    return np.moveaxis(outputs, 1, -1)[keep], targets[keep]
