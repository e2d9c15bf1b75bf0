"""Area under the ROC curve of a whole data set."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .._check import array, one_of
from ._base import Array, right_classes


def roc_auc_score(outputs: ArrayLike, targets: ArrayLike, average: str | None = "macro") -> Any:
    r"""Area under the ROC curve (ROC AUC): how often a positive scores above a negative.

    .. math:: \mathrm{AUC} = \frac{1}{P N} \Bigl(\sum_{i \in +} r_i - \frac{P (P + 1)}{2}\Bigr)

    where r_i is the rank of a positive among all P + N samples. Equal scores share the mean of
    their ranks, so a tie counts one half.

    Parameters
    ----------
    outputs : array (n,), (n, 1) or (n, classes)
        Scores: logits or probabilities, since only their order matters.
    targets : array
        0 and 1, of the shape of the outputs or ``(n,)``; or labels, ``(n,)``: then each class is
        measured against the rest.
    average : {"macro", None}
        The mean over the classes, or one number per class.

    Returns
    -------
    float, or array (classes,)
        1 is perfect, 0.5 is chance.

    Raises
    ------
    ValueError
        If shapes do not fit, a score is NaN, a target is neither 0 nor 1, or a class has no
        positives or no negatives.
    TypeError
        If scores are not numbers.

    References
    ----------
    Hanley and McNeil, "The meaning and use of the area under a receiver operating characteristic
    curve", 1982. ``sklearn.metrics.roc_auc_score``, whose arguments come in the other order.

    Examples
    --------
    >>> roc_auc_score(np.array([0.1, 0.4, 0.35, 0.8]), np.array([0, 0, 1, 1]))
    0.75
    """
    who = "roc_auc_score"
    scores, targets = array(outputs, who), array(targets, who)
    one_of(average, "average", ("macro", None))
    if scores.dtype.kind not in "fiu" or targets.dtype.kind not in "fiub":
        raise TypeError(f"{who} takes numbers, got {scores.dtype} and {targets.dtype}")
    if scores.ndim not in (1, 2) or 0 in scores.shape[1:]:
        raise ValueError(f"{who} takes outputs (n,) or (n, classes), got {scores.shape}")
    if np.isnan(scores).any():
        raise ValueError(f"{who} takes outputs without NaN, got {np.isnan(scores).sum()}")
    columns = scores if scores.ndim == 2 else scores[:, None]
    if columns.shape[1] != 1 and targets.shape == scores.shape[:1]:
        positive = right_classes(scores, targets, who)[:, None] == np.arange(columns.shape[1])
    elif targets.size == scores.size and targets.shape in (scores.shape, scores.shape[:1]):
        if not ((targets == 0) | (targets == 1)).all():
            raise ValueError(f"{who} takes targets that are 0 or 1, got others")
        positive = targets.reshape(columns.shape) == 1
    else:
        raise ValueError(f"{who} cannot compare {scores.shape} with targets {targets.shape}")
    areas = np.array([_area(columns[:, k], positive[:, k], k) for k in range(columns.shape[1])])
    if average is None:
        return areas
    return float(areas.mean())


def _area(scores: Array, positive: Array, k: int) -> float:
    """Return the area for class ``k``."""
    p, n = int(positive.sum()), int((~positive).sum())
    if not p or not n:
        raise ValueError(
            f"roc_auc_score needs samples of class {k} and others, got {p} of it among {p + n}"
        )
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (counts.cumsum() - (counts - 1) / 2)[inverse]  # from 1; ties share their mean
    return float((ranks[positive].sum() - p * (p + 1) / 2) / (p * n))
