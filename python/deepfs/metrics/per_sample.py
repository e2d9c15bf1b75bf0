"""Metrics per sample, for `deepfs.Model`."""

from __future__ import annotations

from dataclasses import dataclass
from math import isnan, prod

import numpy as np
from numpy.typing import ArrayLike

from cnn_core import softmax

from .._check import array, number, whole
from .._labels import known_labels
from ._base import Array, class_scores, right_classes

FLOATS = (np.dtype(np.float32), np.dtype(np.float64))  # what kernels take


def accuracy(outputs: ArrayLike, targets: ArrayLike) -> Array:
    """Accuracy: 1 for each sample whose largest output is that of the right class, else 0.

    Parameters
    ----------
    outputs : array (n, classes, ...)
        Logits or probabilities.
    targets : array (n, ...) of integers, or of the outputs' shape
        The right classes, or their probabilities.

    Returns
    -------
    array (n,)
        Of equal outputs, the first class counts; a sample with a NaN output is wrong. With further
        axes, the part of the pixels that are right.

    Raises
    ------
    ValueError
        If there are fewer than two classes, shapes do not fit, or a label is not a class.
    TypeError
        If outputs are not numbers, or labels are not integers.

    Notes
    -----
    `deepfs.Model` removes samples whose labels the loss ignores first, by `without_ignored`.

    Examples
    --------
    >>> accuracy(np.array([[1.0, 2.0], [4.0, 3.0]]), np.array([1, 1]))
    array([1., 0.])
    """
    outputs, targets = class_scores(outputs, "accuracy"), array(targets, "accuracy")
    by_label = outputs.ndim == 2 and targets.dtype.kind in "iu" and targets.shape == (len(outputs),)
    if by_label and outputs.dtype in FLOATS:
        return _right_labels(outputs, targets)
    right = right_classes(outputs, targets, "accuracy")
    return _per_sample(outputs.argmax(axis=1) == right, outputs)


def _right_labels(outputs: Array, targets: Array) -> Array:
    """Return the accuracy for labels and floats in one kernel, as a training step needs it."""
    right = np.empty(len(outputs))
    label = np.ascontiguousarray(targets, np.int64)
    try:
        softmax.right_class(np.ascontiguousarray(outputs), label, right)
    except IndexError:
        known_labels(targets, outputs.shape[1], "accuracy")  # raises the full message
        raise
    return right


def binary_accuracy(outputs: ArrayLike, targets: ArrayLike, threshold: float = 0.0) -> Array:
    """Binary accuracy: the part of the outputs of each sample on the right side of a threshold.

    Parameters
    ----------
    outputs : array (n, ...)
        Logits, or probabilities with ``threshold=0.5``. Above the threshold they predict 1.
    targets : array (n, ...)
        0 or 1; above 0.5 counts as 1.
    threshold : float
        Boundary between the predictions 0 and 1.

    Returns
    -------
    array (n,)
        In [0, 1]. NaN outputs are wrong.

    Raises
    ------
    ValueError
        If outputs and targets differ in shape.
    TypeError
        If they are not numbers.

    Examples
    --------
    >>> binary_accuracy(np.array([[2.0, -1.0], [0.5, 3.0]]), np.array([[1, 0], [0, 1]]))
    array([1. , 0.5])
    """
    return _means(on_the_right_side(outputs, targets, threshold, "binary_accuracy"))


def on_the_right_side(outputs: ArrayLike, targets: ArrayLike, threshold: float, who: str) -> Array:
    """Return whether each output predicts its target; a NaN never does."""
    predicted, right, nan = said_and_so(outputs, targets, threshold, who)
    return (predicted == right) & ~nan


def said_and_so(
    outputs: ArrayLike, targets: ArrayLike, threshold: float, who: str
) -> tuple[Array, Array, Array]:
    """Return which labels outputs predict, which are right, and which outputs are NaN."""
    outputs, targets = (array(given, who) for given in (outputs, targets))
    threshold = number(threshold, "threshold", "(-inf, inf)")
    if outputs.dtype.kind not in "fiu" or targets.dtype.kind not in "fiub":
        raise TypeError(f"{who} takes numbers, got {outputs.dtype} and {targets.dtype}")
    if outputs.ndim < 1 or targets.shape != outputs.shape:
        raise ValueError(f"{who} cannot compare {outputs.shape} with targets {targets.shape}")
    return outputs > threshold, targets > 0.5, np.isnan(outputs)


def subset_accuracy(outputs: ArrayLike, targets: ArrayLike, threshold: float = 0.0) -> Array:
    """Subset accuracy: 1 for each sample whose outputs are all on the right side of a threshold.

    Parameters
    ----------
    outputs, targets, threshold : array, array, float
        See `binary_accuracy`, which counts each label.

    Returns
    -------
    array (n,)
        0 or 1. It is scikit-learn's ``accuracy_score`` of labels that do not exclude each other.

    Raises
    ------
    ValueError, TypeError
        As `binary_accuracy`.

    Examples
    --------
    >>> subset_accuracy(np.array([[2.0, -1.0], [0.5, 3.0]]), np.array([[1, 0], [0, 1]]))
    array([1., 0.])
    """
    found = on_the_right_side(outputs, targets, threshold, "subset_accuracy")
    return np.asarray(found.all(axis=tuple(range(1, found.ndim))), np.float64)


def top_k_accuracy(outputs: ArrayLike, targets: ArrayLike, k: int = 5) -> Array:
    """Top-k accuracy: 1 for each sample whose right class is among the k largest outputs, else 0.

    Parameters
    ----------
    outputs, targets : array
        See `accuracy`, which is this function with ``k=1``.
    k : int
        Number of largest outputs, at least 1. For another k in a `deepfs.Model`, use
        `TopKAccuracy` or its name, ``"top_3_accuracy"``.

    Returns
    -------
    array (n,)
        Of equal outputs, the first class comes first; a sample with a NaN output is wrong.

    Raises
    ------
    ValueError, TypeError
        As `accuracy`, and if ``k`` is not an int of at least 1.

    Examples
    --------
    >>> top_k_accuracy(np.array([[1.0, 2.0, 0.0], [4.0, 3.0, 5.0]]), np.array([0, 1]), k=2)
    array([1., 0.])
    """
    k = whole(k, "k")
    outputs = class_scores(outputs, "top_k_accuracy")
    right = np.expand_dims(right_classes(outputs, targets, "top_k_accuracy"), 1)
    score = np.take_along_axis(outputs, right, axis=1)
    classes = np.arange(outputs.shape[1]).reshape((-1,) + (1,) * (outputs.ndim - 2))
    before = (outputs > score) | ((outputs == score) & (classes < right))
    return _per_sample(before.sum(axis=1) < k, outputs)


@dataclass(frozen=True)
class TopKAccuracy:
    """Top-k accuracy with a fixed k, as a metric for `deepfs.Model`.

    Parameters
    ----------
    k : int
        Number of largest outputs, at least 1.

    Raises
    ------
    TypeError, ValueError
        If ``k`` is not an int of at least 1.

    Examples
    --------
    >>> TopKAccuracy(2).name
    'top_2_accuracy'
    """

    k: int = 5

    def __post_init__(self) -> None:
        whole(self.k, "k")

    @property
    def name(self) -> str:
        """Its name in logs, such as ``top_3_accuracy``."""
        return f"top_{self.k}_accuracy"

    def __call__(self, outputs: Array, targets: Array) -> Array:
        return top_k_accuracy(outputs, targets, self.k)


def _per_sample(found: Array, outputs: Array) -> Array:
    """Return the part of each sample that is right; 0 if there is a NaN among its outputs."""
    if outputs.size and outputs.dtype.kind == "f" and isnan(outputs.max()):
        found = found & ~np.isnan(outputs).any(axis=1)
    return _means(found)


def _means(found: Array) -> Array:
    """Return the part of the entries of each sample that are true."""
    if found.ndim == 1:
        return found.astype(np.float64)
    return found.sum(axis=tuple(range(1, found.ndim))) / max(1, prod(found.shape[1:]))
