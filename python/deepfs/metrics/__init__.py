"""Metrics: accuracy, F1 score and others. Names follow Keras and scikit-learn.

There are two kinds:

- `accuracy`, `binary_accuracy` and `top_k_accuracy` return a number per sample, ``(outputs,
  targets) -> (n,)``; the metric is their mean. `deepfs.Model` takes these, by name or as functions,
  and your own functions of that form. A smaller last batch is weighted by its size.
- `confusion_matrix`, `precision_score`, `recall_score`, `f1_score` and `roc_auc_score` are
  functions of a whole data set, not means over batches: call them with all of ``model.predict(x)``.

Arguments are ``(outputs, targets)`` as for losses; scikit-learn has the reverse order.
"""

from __future__ import annotations

import re

from .._elsewhere import explain_absent as _explain_absent
from ._base import Metric, without_ignored
from .confusion import confusion_matrix, f1_score, precision_score, recall_score
from .per_sample import TopKAccuracy, accuracy, binary_accuracy, top_k_accuracy
from .ranking import roc_auc_score

__all__ = [
    "TopKAccuracy",
    "accuracy",
    "binary_accuracy",
    "confusion_matrix",
    "f1_score",
    "get",
    "precision_score",
    "recall_score",
    "roc_auc_score",
    "top_k_accuracy",
    "without_ignored",
]

_BY_NAME: dict[str, Metric] = {
    "accuracy": accuracy,
    "binary_accuracy": binary_accuracy,
    "top_k_accuracy": top_k_accuracy,
}


def get(metric: str | Metric) -> tuple[str, Metric]:
    """Return name and function of a metric, given one of them; "top_3_accuracy" works for any k.

    Raises
    ------
    ValueError
        If no metric has that name.
    TypeError
        If it is neither a name nor a function.

    Examples
    --------
    >>> get("top_3_accuracy")
    ('top_3_accuracy', TopKAccuracy(k=3))
    """
    if callable(metric):
        name = getattr(metric, "name", None) or getattr(metric, "__name__", None)
        return str(name or type(metric).__name__), metric
    if not isinstance(metric, str):
        raise TypeError(f"metric must be a name or a function, got {metric!r}")
    top = re.fullmatch(r"top_([1-9][0-9]{0,9})_accuracy", metric)
    if top:
        return metric, TopKAccuracy(int(top[1]))
    if metric not in _BY_NAME:
        raise ValueError(
            f"metric must be one of {', '.join(_BY_NAME)} (or a number for k), got {metric!r}"
        )
    return metric, _BY_NAME[metric]


def known(name: str) -> bool:
    """Return whether `get` has a metric of this name."""
    try:
        get(name)
    except ValueError:
        return False
    return True


_explain_absent(__name__)
