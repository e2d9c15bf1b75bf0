"""NumPy references of losses: the mean over a batch, and its gradient."""

from __future__ import annotations

import numpy as np

from ._types import Array
from .activation import sigmoid
from .softmax import softmax


def class_targets(
    labels: Array, classes: int, smoothing: float = 0.0, class_weight: Array | None = None
) -> Array:
    """Return labels as rows ``(n, classes)`` for `cross_entropy`: smoothed, then weighted."""
    onehot = np.eye(classes)[labels]
    targets = (1 - smoothing) * onehot + smoothing / classes
    return targets if class_weight is None else targets * class_weight


def cross_entropy(logits: Array, targets: Array) -> float:
    """Return the mean of -sum(targets * log(softmax(logits))), targets ``(n, c)``."""
    return float(-(targets * np.log(softmax(logits))).sum() / len(logits))


def cross_entropy_backward(logits: Array, targets: Array) -> Array:
    """Return the gradient of `cross_entropy` by the logits."""
    return (softmax(logits) * targets.sum(axis=1, keepdims=True) - targets) / len(logits)


def negative_log_likelihood(log_p: Array, labels: Array) -> float:
    """Return the mean of -log_p at the labels, ``(n,)``."""
    return float(-log_p[np.arange(len(log_p)), labels].mean())


def negative_log_likelihood_backward(log_p: Array, labels: Array) -> Array:
    """Return the gradient of `negative_log_likelihood` by the log-probabilities."""
    return -np.eye(log_p.shape[1])[labels] / len(log_p)


def hinge(scores: Array, labels: Array, margin: float = 1.0) -> float:
    """Return the mean of the sums over wrong classes of max(0, margin + wrong - right)."""
    right = scores[np.arange(len(scores)), labels][:, None]
    terms = np.maximum(0, margin + scores - right)
    return float(terms.sum() / len(scores) - margin)  # the right class has added the margin


def hinge_backward(scores: Array, labels: Array, margin: float = 1.0) -> Array:
    """Return the gradient of `hinge` by the scores."""
    rows = np.arange(len(scores))
    over = (margin + scores - scores[rows, labels][:, None] > 0).astype(scores.dtype)
    over[rows, labels] = 0
    over[rows, labels] = -over.sum(axis=1)
    return over / len(scores)


def binary_cross_entropy(logits: Array, targets: Array, pos_weight: float = 1.0) -> float:
    """Return the mean of -(pos_weight t log(s(x)) + (1 - t) log(1 - s(x))), s the sigmoid."""
    yes, no = np.log(sigmoid(logits)), np.log(sigmoid(-logits))
    return float(-(pos_weight * targets * yes + (1 - targets) * no).mean())


def binary_cross_entropy_backward(logits: Array, targets: Array, pos_weight: float = 1.0) -> Array:
    """Return the gradient of `binary_cross_entropy` by the logits."""
    yes, no = sigmoid(logits), sigmoid(-logits)
    return ((1 - targets) * yes - pos_weight * targets * no) / logits.size


def mean_squared_error(outputs: Array, targets: Array) -> float:
    """Return the mean of the squared differences."""
    return float(((outputs - targets) ** 2).mean())


def mean_squared_error_backward(outputs: Array, targets: Array) -> Array:
    """Return the gradient of `mean_squared_error` by the outputs."""
    return 2 * (outputs - targets) / outputs.size


def mean_absolute_error(outputs: Array, targets: Array) -> float:
    """Return the mean size of the differences."""
    return float(np.abs(outputs - targets).mean())


def mean_absolute_error_backward(outputs: Array, targets: Array) -> Array:
    """Return the gradient of `mean_absolute_error` by the outputs."""
    return np.sign(outputs - targets) / outputs.size


def huber(outputs: Array, targets: Array, delta: float = 1.0) -> float:
    """Return the mean of d^2 / 2, or delta (abs(d) - delta / 2) where d is beyond delta."""
    size = np.abs(outputs - targets)
    return float(np.where(size <= delta, size**2 / 2, delta * (size - delta / 2)).mean())


def huber_backward(outputs: Array, targets: Array, delta: float = 1.0) -> Array:
    """Return the gradient of `huber` by the outputs."""
    d = outputs - targets
    return np.where(np.abs(d) <= delta, d, delta * np.sign(d)) / outputs.size
