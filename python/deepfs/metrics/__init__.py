"""Metrics: accuracy, F1 score and others. Names follow Keras and scikit-learn.

A `deepfs.Model` takes them by name and as functions, and measures them over the whole set, however
it is divided into batches:

- `accuracy`, `binary_accuracy`, `subset_accuracy` and `top_k_accuracy` return a number per sample,
  ``(outputs, targets) -> (n,)``; the metric is their mean. So do your own functions of that form.
- `binary_precision`, `binary_recall` and `binary_f1` are of labels that do not exclude each other,
  ``(outputs, targets)``.
- `precision_score`, `recall_score`, `f1_score`, `roc_auc_score`, `confusion_matrix`, `r2_score`,
  `mean_squared_error` and `mean_absolute_error` have the names of scikit-learn and its order of
  arguments, ``(y_true, y_pred)``; so has `rmse`. A model calls them rightly.

Your own functions may also return one number: a model then calls them with the whole set.
"""

from __future__ import annotations

from .._elsewhere import explain_absent as _explain_absent
from .._public import public_names as _public_names
from ._base import Metric as Metric
from ._base import without_ignored
from ._named import OfOutput, get
from .binary import binary_f1, binary_precision, binary_recall
from .calibration import expected_calibration_error
from .confusion import confusion_matrix, f1_score, precision_score, recall_score
from .per_sample import TopKAccuracy, accuracy, binary_accuracy, subset_accuracy, top_k_accuracy
from .ranking import roc_auc_score
from .regression import mean_absolute_error, mean_squared_error, r2_score, rmse
from .report import classification_report

__all__ = [
    "OfOutput",
    "TopKAccuracy",
    "accuracy",
    "binary_accuracy",
    "binary_f1",
    "binary_precision",
    "binary_recall",
    "classification_report",
    "confusion_matrix",
    "expected_calibration_error",
    "f1_score",
    "get",
    "mean_absolute_error",
    "mean_squared_error",
    "precision_score",
    "r2_score",
    "recall_score",
    "rmse",
    "roc_auc_score",
    "subset_accuracy",
    "top_k_accuracy",
    "without_ignored",
]


def __dir__() -> list[str]:
    return _public_names(globals())


_explain_absent(__name__)
