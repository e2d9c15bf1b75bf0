"""Calibration: whether a class that is predicted with 80 % is right in 80 % of the cases."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from .._check import whole
from ._base import Array, class_scores, right_classes

BINS = 15  # as in the paper


class Calibration:
    """Samples in bins of equal width of the confidence, the probability of the predicted class.

    Attributes
    ----------
    edges : array (bins + 1,)
        From 0 to 1. A bin has its upper edge, not its lower one.
    count : array (bins,) of int
        Samples in each bin.
    accuracy, confidence : array (bins,)
        Share of right predictions, and mean confidence; NaN in an empty bin.
    error : float
        Expected calibration error: the mean over samples of ``|accuracy - confidence|`` of bins.
    max_error : float
        The largest of these differences.
    """

    def __init__(self, bins: int = BINS) -> None:
        self.edges = np.linspace(0, 1, whole(bins, "bins") + 1)
        self.count = np.zeros(bins, np.int64)
        self._right, self._sum = np.zeros(bins), np.zeros(bins)

    def add(self, confidence: Array, right: Array) -> None:
        """Add samples, given confidence and whether the prediction is right."""
        confidence = np.asarray(confidence, np.float64)
        bins = len(self.count)
        number = np.clip(np.searchsorted(self.edges, confidence, "left") - 1, 0, bins - 1)
        self.count += np.bincount(number, minlength=bins)
        self._right += np.bincount(number, right, minlength=bins)
        self._sum += np.bincount(number, confidence, minlength=bins)

    @property
    def accuracy(self) -> Array:
        """Share of right predictions in each bin."""
        return self._over_count(self._right)

    @property
    def confidence(self) -> Array:
        """Mean confidence in each bin."""
        return self._over_count(self._sum)

    def _over_count(self, sums: Array) -> Array:
        return np.where(self.count > 0, sums / np.maximum(self.count, 1), np.nan)

    @property
    def error(self) -> float:
        """Expected calibration error, in [0, 1]; NaN of no samples."""
        total = self.count.sum()
        return float(np.abs(self._right - self._sum).sum() / total) if total else float("nan")

    @property
    def max_error(self) -> float:
        """Largest difference of accuracy and confidence of a bin; NaN of no samples."""
        gaps = np.abs(self.accuracy - self.confidence)[self.count > 0]
        return float(gaps.max()) if len(gaps) else float("nan")

    def __repr__(self) -> str:
        lines = ["confidence        samples  accuracy  mean confidence"]
        for k in np.flatnonzero(self.count):
            lines.append(
                f"{self.edges[k]:.3f} to {self.edges[k + 1]:.3f}  {self.count[k]:7d}  "
                f"{self.accuracy[k]:8.3f}  {self.confidence[k]:15.3f}"
            )
        return "\n".join([*lines, f"expected calibration error {self.error:.4f}"])


def expected_calibration_error(y_true: ArrayLike, y_prob: ArrayLike, bins: int = BINS) -> float:
    r"""Calibration error: how far confidences are from shares of right predictions, on average.

    .. math:: \sum_b \frac{n_b}{n} \, |\mathrm{accuracy}_b - \mathrm{confidence}_b|

    over bins of equal width of the confidence, the probability of the predicted class.

    Parameters
    ----------
    y_true : array (n, ...) of integers, or (n, classes, ...)
        The right classes, or their probabilities.
    y_prob : array (n, classes, ...)
        Probabilities, as `Model.predict_proba` returns them; logits are refused.
    bins : int
        Number of bins, at least 1. A bin has its upper edge, not its lower one.

    Returns
    -------
    float
        In [0, 1]; 0 is perfectly calibrated.

    Raises
    ------
    ValueError, TypeError
        If shapes do not fit, or there are no probabilities.

    References
    ----------
    Guo et al., "On calibration of modern neural networks", 2017, arXiv:1706.04599.

    Examples
    --------
    >>> y_prob = np.array([[0.75, 0.25], [0.75, 0.25], [0.25, 0.75], [0.0, 1.0]])
    >>> expected_calibration_error(np.array([0, 1, 1, 1]), y_prob)
    0.0625
    """
    who = "expected_calibration_error"
    p = class_scores(y_prob, who)
    if p.dtype.kind != "f" or p.ndim < 2 or not ((p >= 0) & (p <= 1.001)).all():
        raise ValueError(f"{who} takes probabilities (n, classes, ...), got {p.dtype} {p.shape}")
    if len(p) == 0 or p.size == 0:
        raise ValueError(f"{who} needs at least 1 sample, got {p.shape}")
    found = Calibration(bins)
    found.add(p.max(axis=1).reshape(-1), (p.argmax(1) == right_classes(p, y_true, who)).reshape(-1))
    return found.error
