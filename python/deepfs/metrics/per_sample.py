"""Metrics of single samples: what `deepfs.Model` takes."""

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
    """Return 1 where the class of the largest output is the target's, else 0.

    Parameters
    ----------
    outputs : array (n, classes, ...)
        Logits or probabilities.
    targets : array (n, ...) of integers, or of the outputs' shape
        The right classes, or their probabilities.

    Returns
    -------
    array (n,)
        Of a tie, the first class counts; outputs with a NaN are wrong. With further axes, the part
        of the pixels that are right.

    Raises
    ------
    ValueError
        If there are not at least two classes, or targets for each output, or a label is no class.
    TypeError
        If outputs are not numbers or labels not integers.

    Notes
    -----
    Labels that the loss ignores are not seen: `deepfs.Model` takes them out first, by
    `without_ignored`.

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
    """Do the work of `accuracy` where a training step needs it, in one kernel."""
    right = np.empty(len(outputs))
    label = np.ascontiguousarray(targets, np.int64)
    try:
        softmax.right_class(np.ascontiguousarray(outputs), label, right)
    except IndexError:
        known_labels(targets, outputs.shape[1], "accuracy")  # raises, and says it in full
        raise
    return right


def binary_accuracy(outputs: ArrayLike, targets: ArrayLike, threshold: float = 0.0) -> Array:
    """Return the part of the outputs of each sample that lie on the side of their target.

    Parameters
    ----------
    outputs : array (n, ...)
        Logits, or with ``threshold=0.5`` probabilities: above the threshold they say yes.
    targets : array (n, ...)
        Above 0.5: yes.
    threshold : float
        What divides yes and no.

    Returns
    -------
    array (n,)
        A NaN is wrong.

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
    outputs, targets = (array(given, "binary_accuracy") for given in (outputs, targets))
    threshold = number(threshold, "threshold", "(-inf, inf)")
    if outputs.dtype.kind not in "fiu" or targets.dtype.kind not in "fiub":
        raise TypeError(f"binary_accuracy takes numbers, got {outputs.dtype} and {targets.dtype}")
    if outputs.ndim < 1 or targets.shape != outputs.shape:
        raise ValueError(
            f"binary_accuracy cannot compare {outputs.shape} with targets {targets.shape}"
        )
    found = ((outputs > threshold) == (targets > 0.5)) & ~np.isnan(outputs)
    return _means(found)


def top_k_accuracy(outputs: ArrayLike, targets: ArrayLike, k: int = 5) -> Array:
    """Return 1 where fewer than ``k`` classes come before the target's, else 0.

    Parameters
    ----------
    outputs, targets : array
        As for `accuracy`, which is this with ``k=1``.
    k : int
        How many guesses are allowed, at least 1. `TopKAccuracy` carries another for
        `deepfs.Model`.

    Returns
    -------
    array (n,)
        Of equal outputs, the first class comes first; outputs with a NaN are wrong.

    Raises
    ------
    ValueError, TypeError
        As `accuracy`, and if ``k`` is not such an int.

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
    """`top_k_accuracy` with its ``k``, called "top_3_accuracy" and so on.

    Parameters
    ----------
    k : int
        How many guesses are allowed, at least 1.

    Raises
    ------
    TypeError, ValueError
        If ``k`` is not such an int.

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
        """What logs call it."""
        return f"top_{self.k}_accuracy"

    def __call__(self, outputs: Array, targets: Array) -> Array:
        return top_k_accuracy(outputs, targets, self.k)


def _per_sample(found: Array, outputs: Array) -> Array:
    """Return what is right of each sample, where there is no NaN among its outputs."""
    if outputs.size and outputs.dtype.kind == "f" and isnan(outputs.max()):
        found = found & ~np.isnan(outputs).any(axis=1)
    return _means(found)


def _means(found: Array) -> Array:
    """Return the part of the entries of each sample that are true."""
    if found.ndim == 1:
        return found.astype(np.float64)
    return found.sum(axis=tuple(range(1, found.ndim))) / max(1, prod(found.shape[1:]))
