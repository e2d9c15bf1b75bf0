"""Cross-entropy of logits. Kernel: ``src/cnn_core/softmax.pyx``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from cnn_core import softmax

from .._arrays import Array
from .._check import array, number, one_of
from .._labels import known_labels
from ..layers._axes import size_hint
from ._base import REDUCTIONS, Loss, Scale, Terms, weights_of
from ._classes import as_given, by_class, check_class_weight, check_ignore_index, class_rows, times
from ._output_kinds import CLASS_LOGITS


@dataclass(eq=False)
class CrossEntropy(Loss):
    r"""Cross-entropy loss (softmax cross-entropy) of logits, for labels or probabilities.

    .. math::
        \ell_i = -\sum_k t_{ik} \log \frac{e^{x_{ik}}}{\sum_j e^{x_{ij}}}, \quad
        \frac{\partial \ell_i}{\partial x_{ik}} = p_{ik} \sum_j t_{ij} - t_{ik}

    Parameters
    ----------
    label_smoothing : float
        Part e of a target that is spread over all C classes, in [0, 1]: (1 - e) t + e / C.
    class_weight : sequence of float, optional
        Weight of each class, at least 0; it multiplies the target t of the class.
    ignore_index : int, optional
        Label of samples to leave out.
    reduction : {"mean", "sum", "none"}
        The mean divides by the sum of the class weights of the labels or, for probabilities, by the
        number of samples, as in PyTorch; both are multiplied by the sample weights.

    Raises
    ------
    ValueError
        If a setting is out of range, or, on call, if shapes do not fit, a label is not one of the
        classes, a probability is below 0, infinite, or overflows times its class weight, or an
        ``ignore_index`` of at least 0 meets probabilities.
    TypeError
        If targets are neither integers nor floats.

    Notes
    -----
    Shapes: logits ``(n, C, ...)``; targets are labels (integers, ``(n, ...)``) or probabilities
    (floats, of the shape of the logits), recognized by number of axes and dtype. If every sample is
    ignored, the loss is 0. The gradient of an ignored sample is 0, whatever its logits.
    NumPy reference: `deepfs.reference.cross_entropy`.

    References
    ----------
    Szegedy et al., "Rethinking the Inception architecture", 2015, arXiv:1512.00567 (smoothing).

    Examples
    --------
    >>> from deepfs.losses import CrossEntropy
    >>> round(CrossEntropy()(np.array([[0.0, np.log(3.0)]]), np.array([1])), 4)
    0.2877
    """

    label_smoothing: float = 0.0
    class_weight: Sequence[float] | None = None
    ignore_index: int | None = None
    reduction: str = "mean"

    output_kind = CLASS_LOGITS

    def __post_init__(self) -> None:
        self.label_smoothing = number(self.label_smoothing, "label_smoothing", "[0, 1]")
        self.class_weight = check_class_weight(self.class_weight)
        self.ignore_index = check_ignore_index(self.ignore_index)
        one_of(self.reduction, "reduction", REDUCTIONS)

    def forward(
        self, outputs: ArrayLike, targets: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> tuple[Any, Any]:
        return self._reduce(*self._compute(outputs, targets, sample_weight))

    def terms(
        self, outputs: ArrayLike, targets: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> Terms:
        values, _, counted, cache = self._compute(outputs, targets, sample_weight)
        return values, counted, cache

    def _compute(
        self, outputs: ArrayLike, targets: ArrayLike, sample_weight: ArrayLike | None
    ) -> tuple[Array, float, float, Any]:
        """Return the terms, their sum, the sum of their weights, and a cache."""
        rows, shape = class_rows(outputs, "CrossEntropy", "logits")
        targets = array(targets, "CrossEntropy")
        label_shape = shape[:1] + shape[2:]
        weight = weights_of(sample_weight, label_shape, "CrossEntropy")
        if weight is not None:
            weight = np.ascontiguousarray(weight).reshape(-1)
        label, target, weight, counted = self._wanted(targets, rows, shape, weight)
        p, values = np.empty(rows.shape, rows.dtype), np.empty(len(rows), rows.dtype)
        try:
            total = softmax.cross_entropy_forward(rows, label, target, weight, p, values)
        except IndexError:
            known_labels(targets, rows.shape[1], "CrossEntropy")  # raises the full message
            raise
        if len(shape) != 2:
            values = values.reshape(label_shape)
        return values, total, counted, (p, label, target, weight, shape)

    def _wanted(
        self, targets: Array, rows: Array, shape: tuple[int, ...], weight: Array | None
    ) -> tuple[Array | None, Array | None, Array | None, float]:
        """Return label or target of each row, its weight, and the sum of all weights."""
        m, kind = len(rows), targets.dtype.kind
        if kind in "iu" and targets.shape == shape[:1] + shape[2:]:
            if self.class_weight is None and self.ignore_index is None and not self.label_smoothing:
                label = np.ascontiguousarray(targets, np.int64)  # the kernel checks it, faster
                return label.reshape(-1), None, weight, m if weight is None else float(weight.sum())
            return self._from_labels(targets, rows, weight)
        if kind == "f" and targets.shape == shape:
            return self._from_probabilities(targets, rows, weight)
        if kind not in "iuf":
            raise TypeError(f"CrossEntropy takes integer or float targets, got {targets.dtype}")
        hint = size_hint([shape[1:], targets.shape[1:] if kind == "f" else targets.shape])
        if kind in "iu" and targets.shape == shape:
            hint = ": one-hot rows as y.astype(float), labels as y.argmax(axis=1)"
        elif kind == "f" and targets.shape == shape[:1] + shape[2:]:
            hint = ": labels as y.astype(int)"
        elif kind in "iu" and targets.shape == (*shape[:1], 1, *shape[2:]):
            hint = ": labels as y[:, 0]"
        raise ValueError(
            f"CrossEntropy takes integer labels {shape[:1] + shape[2:]} or probabilities {shape} "
            f"for these logits, got {targets.dtype} of shape {targets.shape}{hint}"
        )

    def _from_labels(
        self, targets: Array, rows: Array, weight: Array | None
    ) -> tuple[Array | None, Array | None, Array | None, float]:
        m, classes = rows.shape
        of_class = by_class(self.class_weight, classes, "CrossEntropy")
        label, keep = known_labels(targets, classes, "CrossEntropy", self.ignore_index)
        label = label.reshape(-1)
        weight = times(weight, None if keep is None else keep.reshape(-1))
        counted = times(weight, None if of_class is None else of_class[label])
        total = float(m if counted is None else counted.sum())
        if not self.label_smoothing:
            return label, None, counted, total
        target = np.full(rows.shape, self.label_smoothing / classes, rows.dtype)
        target[np.arange(m), label] += 1 - self.label_smoothing
        if of_class is not None:
            target *= of_class
        return None, target, weight, total

    def _from_probabilities(
        self, targets: Array, rows: Array, weight: Array | None
    ) -> tuple[Array | None, Array | None, Array | None, float]:
        if self.ignore_index is not None and self.ignore_index >= 0:
            raise ValueError(
                f"CrossEntropy with ignore_index={self.ignore_index} takes integer labels, "
                f"got probabilities, {targets.dtype} of shape {targets.shape}"
            )
        m, classes = rows.shape
        of_class = by_class(self.class_weight, classes, "CrossEntropy")
        largest = np.finfo(rows.dtype).max / (1 if of_class is None else max(1, of_class.max()))
        wrong = (targets < 0) | (targets > largest)
        if wrong.any():
            at = tuple(map(int, np.unravel_index(wrong.argmax(), targets.shape)))
            raise ValueError(
                f"CrossEntropy takes probabilities of at least 0, and at most {largest:.2g} here, "
                f"got {targets[at]} at index {at}"
            )
        target = np.moveaxis(targets, 1, -1).reshape(m, classes)
        e = self.label_smoothing
        if e:
            target = (1 - e) * target + e / classes
        if of_class is not None:
            target = target * of_class
        total = float(m if weight is None else weight.sum())
        return None, np.ascontiguousarray(target, rows.dtype), weight, total

    def _gradient(self, cache: Any, scale: Scale) -> Array:
        p, label, target, weight, shape = cache
        if not isinstance(scale, float):
            weight, scale = times(scale.reshape(-1), weight), 1.0
        dx = np.empty(p.shape, p.dtype)
        softmax.cross_entropy_backward(p, label, target, weight, scale, dx)
        return as_given(dx, shape)
