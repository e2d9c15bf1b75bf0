"""Helpers of losses over classes: the axis of classes, labels, and class weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .._arrays import Array
from .._check import number, whole
from ..layers._axes import size_hint
from ._base import real_outputs


def class_rows(outputs: ArrayLike, who: str, what: str) -> tuple[Array, tuple[int, ...]]:
    """Return outputs (n, classes, ...) as C-contiguous rows (m, classes), and their shape.

    Of one class alone the loss would be 0, or a number that no training can change.
    """
    outputs = real_outputs(outputs, who)
    shape = outputs.shape
    if len(shape) == 2 and shape[1] > 1:
        return np.ascontiguousarray(outputs), shape
    if len(shape) < 2 or shape[1] < 2:
        one = "; for one output use BinaryCrossEntropy" if shape[1:2] == (1,) else ""
        raise ValueError(
            f"{who} takes {what} (n, classes, ...) of at least 2 classes, got {shape}{one}"
        )
    rows = np.ascontiguousarray(np.moveaxis(outputs, 1, -1))
    return rows.reshape(rows.size // shape[1], shape[1]), shape


def as_given(rows: Array, shape: tuple[int, ...]) -> Array:
    """Return rows (m, classes) with the axes of outputs of ``shape``."""
    if len(shape) == 2:
        return rows
    return np.moveaxis(rows.reshape(shape[0], *shape[2:], shape[1]), -1, 1)


def check_class_weight(weight: Any, name: str = "class_weight") -> tuple[float, ...] | None:
    """Return class weights as a tuple of floats, each at least 0; a tuple cannot change."""
    if weight is None:
        return None
    listed = (isinstance(weight, np.ndarray) and weight.ndim) or isinstance(weight, Sequence)
    if not listed or isinstance(weight, (str, bytes)):
        raise TypeError(f"{name} must be a number for each class, got {weight!r}")
    return tuple(number(w, name, "[0, inf)") for w in weight)


def check_ignore_index(ignore_index: Any) -> int | None:
    """Return the label to ignore as an int."""
    return None if ignore_index is None else whole(ignore_index, "ignore_index", -(2**62))


def by_class(class_weight: Sequence[float] | None, classes: int, who: str) -> Array | None:
    """Return the weight of each class, for outputs of ``classes``; None: all 1."""
    if class_weight is None:
        return None
    if len(class_weight) != classes:
        raise ValueError(
            f"{who} has weights of {len(class_weight)} classes, got outputs of {classes}"
        )
    return np.asarray(class_weight, np.float64)


def times(*weights: Array | None) -> Array | None:
    """Return the product of weights per row, where None stands for 1; None if all are None."""
    product = None
    for weight in weights:
        if weight is not None:
            product = weight if product is None else product * weight
    return None if product is None else product.astype(np.float64, copy=False)


def check_label_shape(labels: Array, shape: tuple[int, ...], who: str) -> tuple[int, ...]:
    """Return the shape of labels for outputs of ``shape``; raise ValueError for another."""
    wanted = shape[:1] + shape[2:]
    if labels.shape != wanted:
        raise ValueError(
            f"{who} takes integer labels {wanted} for these outputs, "
            f"got {labels.dtype} of shape {labels.shape}{size_hint([shape[1:], labels.shape])}"
        )
    return wanted
