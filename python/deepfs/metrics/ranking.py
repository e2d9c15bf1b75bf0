"""Area under the ROC curve of a whole data set."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .._check import array, one_of
from ._base import Array, right_classes

WHO = "roc_auc_score"


def roc_auc_score(y_true: ArrayLike, y_score: ArrayLike, average: str | None = "macro") -> Any:
    r"""Area under the ROC curve (ROC AUC): how often a positive scores above a negative.

    .. math:: \mathrm{AUC} = \frac{1}{P N} \Bigl(\sum_{i \in +} r_i - \frac{P (P + 1)}{2}\Bigr)

    where r_i is the rank of a positive among all P + N samples. Equal scores share the mean of
    their ranks, so a tie counts one half.

    Parameters
    ----------
    y_true : array
        0 and 1, of the shape of the scores or ``(n,)``; or labels, ``(n,)``, or probabilities that
        add up to 1, of which the largest counts: then each class is measured against the rest. The
        order of arguments is scikit-learn's.
    y_score : array (n,), (n, 1) or (n, classes)
        Scores: logits or probabilities, since only their order matters.
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
    curve", 1982. ``sklearn.metrics.roc_auc_score``.

    Examples
    --------
    >>> roc_auc_score(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8]))
    0.75
    """
    one_of(average, "average", ("macro", None))
    areas, positives, n = areas_of(y_true, y_score)
    if np.isnan(areas).any():
        k = int(np.isnan(areas).argmax())
        raise ValueError(
            f"{WHO} needs samples of class {k} and others, got {int(positives[k])} of it among {n}"
        )
    return areas if average is None else float(areas.mean())


def areas_of(
    y_true: ArrayLike, y_score: ArrayLike, weight: Array | None = None
) -> tuple[Array, Array, int]:
    """Return the area of each class, its number of positives, and the number of samples.

    The area is NaN if there are no positives or no negatives.
    """
    scores, targets = array(y_score, WHO), array(y_true, WHO)
    if scores.dtype.kind not in "fiu" or targets.dtype.kind not in "fiub":
        raise TypeError(f"{WHO} takes numbers, got {scores.dtype} and {targets.dtype}")
    if scores.ndim not in (1, 2) or 0 in scores.shape[1:]:
        raise ValueError(f"{WHO} takes outputs (n,) or (n, classes), got {scores.shape}")
    if np.isnan(scores).any():
        raise ValueError(f"{WHO} takes outputs without NaN, got {np.isnan(scores).sum()}")
    columns = scores if scores.ndim == 2 else scores[:, None]
    if columns.shape[1] != 1 and targets.shape == scores.shape[:1]:
        positive = right_classes(scores, targets, WHO)[:, None] == np.arange(columns.shape[1])
    elif of_one_class(targets, scores):
        positive = targets.argmax(axis=1)[:, None] == np.arange(columns.shape[1])
    elif targets.size == scores.size and targets.shape in (scores.shape, scores.shape[:1]):
        if not ((targets == 0) | (targets == 1)).all():
            raise ValueError(
                f"{WHO} takes targets that are 0 or 1, got others as y_true: the order is "
                "(y_true, y_score), as in scikit-learn"
            )
        positive = targets.reshape(columns.shape) == 1
    else:
        raise ValueError(
            f"{WHO} cannot compare {scores.shape} with targets {targets.shape}: the order is "
            "(y_true, y_score), as in scikit-learn"
        )
    classes = range(columns.shape[1])
    areas = [area(columns[:, k], positive[:, k], weight) for k in classes]
    return np.array(areas), positive.sum(axis=0), len(scores)


def of_one_class(targets: Array, scores: Array) -> bool:
    """Return whether targets are shares of classes, as `deepfs.augment.MixUp` makes them.

    The largest share decides, as in accuracy. Scores of 0 and 1 alone are targets in wrong order.
    """
    if targets.dtype.kind != "f" or targets.shape != scores.shape or scores.ndim != 2:
        return False
    if scores.shape[1] < 2 or ((targets == 0) | (targets == 1)).all() or (targets < 0).any():
        return False
    alone = bool(((scores == 0) | (scores == 1)).all())
    with np.errstate(over="ignore"):  # an infinite sum is not 1
        return not alone and np.allclose(targets.sum(axis=1), 1, rtol=0, atol=1e-3)


def area(scores: Array, positive: Array, weight: Array | None = None) -> float:
    """Return the area of one class; NaN if there are no positives or no negatives."""
    if weight is None:
        p, n = int(positive.sum()), int((~positive).sum())
        if not p or not n:
            return float("nan")
        _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
        ranks = (counts.cumsum() - (counts - 1) / 2)[inverse]  # from 1; ties share their mean
        return float((ranks[positive].sum() - p * (p + 1) / 2) / (p * n))
    _, inverse = np.unique(scores, return_inverse=True)
    above = np.bincount(inverse, weight * positive)  # weights of each score
    below = np.bincount(inverse, weight * ~positive)
    if not above.sum() or not below.sum():
        return float("nan")
    beaten = below.cumsum() - below / 2
    return float((above * beaten).sum() / (above.sum() * below.sum()))
