"""Activations and losses as functions, with the names of the book's ``common/functions.py``."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnn_core import activation
from cnn_core import softmax as kernels

from ..._arrays import Array, empty

__all__ = [
    "cross_entropy_error",
    "identity_function",
    "np",
    "relu",
    "relu_grad",
    "sigmoid",
    "sigmoid_grad",
    "softmax",
    "softmax_loss",
    "step_function",
    "sum_squared_error",
]

MANY = 512  # entries from which a kernel is faster than NumPy


def identity_function(x: Any) -> Any:
    """Return ``x``."""
    return x


def step_function(x: Any) -> Array:
    """Return 1 where ``x`` is above 0, else 0, as integers."""
    return np.array(x > 0, dtype=int)


def sigmoid(x: Any) -> Any:
    """Return 1 / (1 + exp(-x)); it does not warn of exp(1000)."""
    many = isinstance(x, np.ndarray) and x.size >= MANY and x.flags.c_contiguous
    if many and x.dtype.char in "fd":
        y = empty(x.shape, x.dtype)
        activation.forward(activation.sigmoid, x.reshape(-1), y.reshape(-1))
        return y
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-x))


def sigmoid_grad(x: Any) -> Any:
    """Return the derivative of `sigmoid` at ``x``."""
    y = sigmoid(x)
    return (1.0 - y) * y


def relu(x: Any) -> Any:
    """Return ``x`` where it is above 0, else 0."""
    return np.maximum(0, x)


def relu_grad(x: Array) -> Array:
    """Return the derivative of `relu`: as in the book 1 at 0, where the layer `Relu` has 0."""
    return np.asarray(x >= 0, dtype=np.result_type(x))


def softmax(x: Any) -> Any:
    """Return exp(x) / sum(exp(x)) over the last axis."""
    if isinstance(x, np.ndarray) and x.dtype.char in "fd" and x.ndim:
        y = np.empty(x.shape, x.dtype)
        wide = x.shape[-1]
        if x.size:
            kernels.softmax(np.ascontiguousarray(x).reshape(-1, wide), y.reshape(-1, wide))
        return y
    e = np.exp(x - np.max(x, axis=-1, keepdims=True))
    return e / np.sum(e, axis=-1, keepdims=True)


def sum_squared_error(y: Any, t: Any) -> Any:
    """Return half the sum of squared differences."""
    return 0.5 * np.sum((y - t) ** 2)


def one_hot(y: Array, t: Array) -> bool:
    """Return whether ``t`` has a number for each entry of ``y``, not a label for each row."""
    return t.size == y.size and (t.ndim == y.ndim or y.ndim == 1)


def labels_of(y: Array, t: Array, who: str) -> Array:
    """Return the class of each row of ``y``, an array (n, classes)."""
    if one_hot(y, t):
        return t.reshape(y.shape).argmax(axis=1)
    if t.size != len(y):
        raise ValueError(
            f"{who} takes a label for each of {len(y)} rows or one-hot rows {y.shape}, "
            f"got t of shape {t.shape}"
        )
    if t.dtype.kind not in "iub":
        raise TypeError(
            f"{who} takes whole numbers as labels, got t of {t.dtype}: give t.astype(int)"
        )
    return t.reshape(-1)


def cross_entropy_error(y: Any, t: Any) -> Any:
    """Return the mean of -log(y + 1e-7) at the right classes.

    ``y`` is a row of probabilities or an array (n, classes); ``t`` has labels or one-hot rows.
    """
    y, t = np.asarray(y), np.asarray(t)
    if y.ndim == 1:
        y = y.reshape(1, -1)
        t = t.reshape(1, -1)
    rows = len(y)
    right = y[np.arange(rows), labels_of(y, t, "cross_entropy_error")]
    return -np.log(right + 1e-7).sum() / rows


def softmax_loss(X: Any, t: Any) -> Any:
    """Return `cross_entropy_error` of the `softmax`."""
    return cross_entropy_error(softmax(X), t)
