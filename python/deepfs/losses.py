"""Losses: one number for how wrong a batch is, and its gradient. Kernel: ``softmax.pyx``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from cnn_core import softmax

from ._check import flag, number, one_of, whole
from .layers._base import Array, dtype_of

__all__ = ["CrossEntropy", "Loss", "MeanSquaredError"]


class Loss(ABC):
    """What a loss is: a term per sample, and what the terms are divided by.

    Write one with `terms` and `_gradient`. ``reduction`` is "mean" (the sum of the terms over the
    sum of their weights), "sum", or "none" (the terms themselves).
    """

    reduction: str

    def __call__(
        self, outputs: ArrayLike, targets: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> Any:
        """Return the loss of a batch: a float, or the terms if ``reduction`` is "none"."""
        return self.forward(outputs, targets, sample_weight)[0]

    def forward(
        self, outputs: ArrayLike, targets: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> tuple[Any, Any]:
        """Return the loss of a batch, and the cache that `backward` will need."""
        values, weight, cache = self.terms(outputs, targets, sample_weight)
        if self.reduction == "none":
            return values, (cache, 1.0)
        total = float(values.sum(dtype=np.float64))
        divisor = weight if self.reduction == "mean" else 1.0
        return (total / divisor if divisor else 0.0), (cache, divisor)

    def backward(self, cache: Any, upstream: ArrayLike = 1.0) -> Array:
        """Return the gradient with respect to the outputs, times ``upstream``."""
        inner, divisor = cache
        scale = np.asarray(upstream, np.float64) / divisor if divisor else np.zeros(())
        return self._gradient(inner, scale)

    @abstractmethod
    def terms(
        self, outputs: ArrayLike, targets: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> tuple[Array, float, Any]:
        """Return the weighted term of each sample, the sum of their weights, and a cache."""

    @abstractmethod
    def _gradient(self, cache: Any, scale: Array) -> Array:
        """Return the gradient of the sum of scale * terms; ``scale`` is one number or one each."""


def real_outputs(outputs: ArrayLike, who: str) -> Array:
    """Return ``outputs`` as a float array with a batch axis."""
    outputs = np.asarray(outputs)
    dtype = dtype_of(outputs, who)
    if outputs.ndim < 1:
        raise ValueError(f"{who} takes a batch of outputs, got a single number")
    return outputs.astype(dtype, copy=False)


def weights_of(sample_weight: ArrayLike | None, shape: tuple[int, ...], who: str) -> Array:
    """Return one weight per term, shape ``shape``."""
    if sample_weight is None:
        return np.ones(shape)
    weight = np.asarray(sample_weight, np.float64)
    if weight.shape != shape[: weight.ndim] or weight.ndim < 1:
        raise ValueError(f"{who} takes sample weights of shape {shape}, got {weight.shape}")
    return np.broadcast_to(weight.reshape(weight.shape + (1,) * (len(shape) - weight.ndim)), shape)


@dataclass(eq=False)
class CrossEntropy(Loss):
    r"""Compare logits with the right classes, or with probabilities of classes.

    .. math::
        \ell_i = -\sum_k t_{ik} \log \frac{e^{x_{ik}}}{\sum_j e^{x_{ij}}}, \quad
        \frac{\partial \ell_i}{\partial x_{ik}} = p_{ik} \sum_j t_{ij} - t_{ik}

    Parameters
    ----------
    label_smoothing : float
        Part e of a target that is spread over all C classes, in [0, 1]: (1 - e) t + e / C.
    class_weight : sequence of float, optional
        Weight of each class, at least 0, by which its t is multiplied.
    ignore_index : int, optional
        Label of samples to leave out.
    reduction : {"mean", "sum", "none"}
        The mean divides by the sum of the class weights of the labels or, for probabilities, by the
        number of samples, as PyTorch; in both cases times the sample weights.

    Raises
    ------
    ValueError
        If a setting is out of range, or, on call, if shapes do not fit or a label is not one of the
        classes.
    TypeError
        If targets are neither integers nor floats.

    Notes
    -----
    Shapes: logits ``(n, C, ...)``; labels, integers, ``(n, ...)``; or probabilities, floats, of the
    logits' shape. Which of the two is decided by the number of axes and the dtype. If every sample
    is ignored the loss is 0. Twin: `deepfs.reference.cross_entropy`.

    References
    ----------
    Szegedy et al., "Rethinking the Inception architecture", 2015, arXiv:1512.00567 (smoothing).

    Examples
    --------
    >>> round(CrossEntropy()(np.array([[0.0, np.log(3.0)]]), np.array([1])), 4)
    0.2877
    """

    label_smoothing: float = 0.0
    class_weight: Sequence[float] | None = None
    ignore_index: int | None = None
    reduction: str = "mean"

    def __post_init__(self) -> None:
        self.label_smoothing = number(self.label_smoothing, "label_smoothing", "[0, 1]")
        one_of(self.reduction, "reduction", ("mean", "sum", "none"))
        if self.class_weight is not None:
            self.class_weight = [number(w, "class_weight", "[0, inf)") for w in self.class_weight]
        if self.ignore_index is not None:
            self.ignore_index = whole(self.ignore_index, "ignore_index", -(2**62))

    def terms(
        self, outputs: ArrayLike, targets: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> tuple[Array, float, Any]:
        logits, targets = real_outputs(outputs, "CrossEntropy"), np.asarray(targets)
        if logits.ndim < 2 or logits.shape[1] < 1:
            raise ValueError(f"CrossEntropy takes logits (n, classes, ...), got {logits.shape}")
        classes = logits.shape[1]
        shape = (len(logits), *logits.shape[2:])
        # one weight per term; None: all 1, and not a pass over them
        weight = None if sample_weight is None else (
            weights_of(sample_weight, shape, "CrossEntropy").reshape(-1)
        )  # fmt: skip
        by_class = self._class_weights(classes)
        if targets.shape == shape and targets.dtype.kind in "iu":
            labels, keep = self._labels(targets.reshape(-1), classes)
            wanted = np.zeros((labels.size, classes), logits.dtype)
            wanted[np.arange(labels.size), labels] = 1
            if keep is not None:
                weight = keep.astype(np.float64) if weight is None else weight * keep
            counted = weight if by_class is None else (
                by_class[labels] * (1.0 if weight is None else weight)
            )  # fmt: skip
        elif targets.shape == logits.shape and targets.dtype.kind == "f":
            wanted = np.moveaxis(targets, 1, -1).reshape(-1, classes).astype(logits.dtype)
            counted = weight
        elif targets.dtype.kind not in "iuf":
            raise TypeError(f"CrossEntropy takes integer or float targets, got {targets.dtype}")
        else:
            raise ValueError(
                f"CrossEntropy takes integer labels {shape} or probabilities {logits.shape} for "
                f"these logits, got {targets.dtype} of shape {targets.shape}"
            )
        if self.label_smoothing:
            wanted = (1 - self.label_smoothing) * wanted + self.label_smoothing / classes
        if by_class is not None:
            wanted = wanted * by_class
        wanted = np.ascontiguousarray(wanted, logits.dtype)
        flat = np.ascontiguousarray(np.moveaxis(logits, 1, -1)).reshape(-1, classes)
        log_p, values = np.empty_like(flat), np.empty(len(flat), flat.dtype)
        softmax.cross_entropy_forward(flat, wanted, log_p, values)
        if weight is not None:  # an ignored sample counts 0 even where its loss is not finite
            values = np.where(weight == 0, 0, values * weight).astype(flat.dtype)
        divisor = float(len(flat) if counted is None else counted.sum())
        return values.reshape(shape), divisor, (log_p, wanted, weight, logits.shape)

    def _class_weights(self, classes: int) -> Array | None:
        if self.class_weight is None:
            return None
        if len(self.class_weight) != classes:
            raise ValueError(
                f"CrossEntropy has weights of {len(self.class_weight)} classes, "
                f"got logits of {classes}"
            )
        return np.asarray(self.class_weight)

    def _labels(self, labels: Array, classes: int) -> tuple[Array, Array | None]:
        """Return labels with the ignored ones as 0, and which are kept; None: all."""
        keep = None if self.ignore_index is None else labels != self.ignore_index
        wrong = (labels < 0) | (labels >= classes)
        if keep is not None:
            wrong &= keep
        if wrong.any():
            at = int(wrong.argmax())
            raise ValueError(
                f"CrossEntropy takes labels from 0 to {classes - 1}, got {labels[at]} at index {at}"
            )
        return labels if keep is None else np.where(keep, labels, 0), keep

    def _gradient(self, cache: Any, scale: Array) -> Array:
        log_p, wanted, weight, shape = cache
        dx = np.empty_like(log_p)
        scale = scale.reshape(-1) if weight is None else weight * scale.reshape(-1)
        scale = np.ascontiguousarray(np.broadcast_to(scale, len(log_p)), log_p.dtype)
        softmax.cross_entropy_backward(log_p, wanted, scale, dx)
        return np.moveaxis(dx.reshape(shape[0], *shape[2:], shape[1]), -1, 1)


@dataclass(eq=False)
class MeanSquaredError(Loss):
    r"""Compare outputs with numbers.

    .. math:: \ell_{ij} = (y_{ij} - t_{ij})^2, \quad
              \frac{\partial \ell_{ij}}{\partial y_{ij}} = 2 (y_{ij} - t_{ij})

    Parameters
    ----------
    textbook : bool
        Half of that, and the mean over the samples instead of over all numbers.
    reduction : {"mean", "sum", "none"}
        Over all numbers, as PyTorch.

    Raises
    ------
    ValueError
        If ``reduction`` is another, or, on call, if outputs and targets differ in shape.

    Notes
    -----
    Shapes: outputs and targets ``(n, ...)``. Twin: `deepfs.reference.mean_squared_error`.

    References
    ----------
    Bishop, "Pattern Recognition and Machine Learning", 2006, section 3.1.

    Examples
    --------
    >>> MeanSquaredError()(np.array([[1.0, 3.0]]), np.array([[0.0, 0.0]]))
    5.0
    """

    textbook: bool = False
    reduction: str = "mean"

    def __post_init__(self) -> None:
        self.textbook = flag(self.textbook, "textbook")
        one_of(self.reduction, "reduction", ("mean", "sum", "none"))

    def terms(
        self, outputs: ArrayLike, targets: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> tuple[Array, float, Any]:
        outputs, targets = real_outputs(outputs, "MeanSquaredError"), np.asarray(targets)
        if targets.shape != outputs.shape or targets.dtype.kind not in "fiu":
            raise ValueError(
                f"MeanSquaredError takes numbers of the outputs' shape {outputs.shape}, "
                f"got {targets.dtype} of shape {targets.shape}"
            )
        weight = weights_of(sample_weight, outputs.shape, "MeanSquaredError")
        factor = weight * (0.5 if self.textbook else 1.0)
        difference = outputs - targets.astype(outputs.dtype)
        counted = weight.reshape(len(outputs), -1)[:, :1] if self.textbook else weight
        values = (factor * difference * difference).astype(outputs.dtype)
        return values, float(counted.sum()), (difference, factor)

    def _gradient(self, cache: Any, scale: Array) -> Array:
        difference, factor = cache
        return (2 * factor * scale * difference).astype(difference.dtype)
