"""Metrics by name, and the functions of `deepfs.metrics` as metrics of a model.

A model calls its metrics with ``(outputs, targets)``. Functions with the names of scikit-learn take
``(y_true, y_pred)``, so a model holds a `Named` for each, which knows the order.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from math import sqrt
from typing import Any

from .._check import number, one_of, shown
from ._accumulators import (
    R2,
    Accumulator,
    OfCounts,
    OfFunction,
    OfMatrix,
    OfPart,
    PerSample,
    RocAuc,
)
from ._base import Metric
from .binary import binary_f1, binary_precision, binary_recall
from .confusion import confusion_matrix, f1_score, precision_score, recall_score
from .per_sample import TopKAccuracy, accuracy, binary_accuracy, subset_accuracy, top_k_accuracy
from .ranking import roc_auc_score
from .regression import (
    absolute_errors,
    mean_absolute_error,
    mean_squared_error,
    r2_score,
    rmse,
    squared_errors,
)

PER_SAMPLE: tuple[Metric, ...] = (accuracy, binary_accuracy, subset_accuracy, top_k_accuracy)
CLASSWISE = {"precision": precision_score, "recall": recall_score, "f1": f1_score}
BINARY = {"precision": binary_precision, "recall": binary_recall, "f1": binary_f1}
SETTINGS = {
    "classes": ("average", "zero_division"),
    "binary": ("average", "zero_division", "threshold"),
    "roc_auc": ("average",),
}
ERRORS = {"mae": absolute_errors, "mse": squared_errors, "rmse": squared_errors}


@dataclass(frozen=True)
class Named:
    """A metric of a whole set, as a model holds it: ``(outputs, targets) -> float``.

    Attributes
    ----------
    kind : str
        "classes", "binary", "errors", "r2" or "roc_auc".
    score : str
        Which of that kind: "f1", "rmse".
    average, zero_division, threshold
        Settings of scores of counts.
    name : str
        Its name in logs.
    """

    kind: str
    score: str
    name: str
    average: str = "macro"
    zero_division: float = 0.0
    threshold: float = 0.0

    def accumulator(self) -> Accumulator:
        """Return a new accumulator."""
        if self.kind == "classes":
            return OfMatrix(f"{self.score}_score", self.average, self.zero_division)
        if self.kind == "binary":
            score = f"{self.score}_score"
            return OfCounts(score, self.average, self.zero_division, self.threshold)
        if self.kind == "errors":
            errors = functools.partial(ERRORS[self.score], who=self.name)
            return PerSample(errors, sqrt if self.score == "rmse" else float)
        return R2() if self.kind == "r2" else RocAuc()

    def __call__(self, outputs: Any, targets: Any) -> float:
        made = self.accumulator()
        made.add(outputs, targets)
        return made.value()


@dataclass(frozen=True)
class OfOutput:
    """A metric of one output of a network with several.

    Parameters
    ----------
    output : str or int
        Name or number of the output.
    metric : str or function
        As `deepfs.Model` takes it.

    Raises
    ------
    TypeError, ValueError
        As `get`.

    Examples
    --------
    >>> OfOutput("digit", "accuracy").name
    'digit_accuracy'
    """

    output: str | int
    metric: Any

    def __post_init__(self) -> None:
        name, metric = get(self.metric)
        if not isinstance(self.output, (str, int)) or isinstance(metric, OfOutput):
            raise TypeError(f"OfOutput takes the name of an output, got {self.output!r}")
        object.__setattr__(self, "metric", metric)
        object.__setattr__(self, "_name", name)

    @property
    def name(self) -> str:
        """Its name in logs, such as ``digit_accuracy``."""
        own: str = vars(self)["_name"]
        return f"{output_name(self.output)}_{own}"

    def __call__(self, outputs: Any, targets: Any) -> Any:
        return self.metric(outputs[self.output], targets[self.output])


def output_name(key: str | int) -> str:
    """Return the name of an output: of a tuple, ``output_0``."""
    return key if isinstance(key, str) else f"output_{key}"


def accumulator(metric: Any) -> Accumulator:
    """Return a new accumulator of a metric, given by name, by function, or as `get` returns it.

    Examples
    --------
    >>> made = accumulator("accuracy")
    >>> made.add(np.array([[1.0, 2.0], [4.0, 3.0]]), np.array([1, 1]))
    >>> made.add(np.array([[1.0, 2.0]]), np.array([1]))
    >>> round(made.value(), 3)
    0.667
    """
    name, made = get(metric)
    if isinstance(made, Named):
        return made.accumulator()
    if isinstance(made, OfOutput):
        return OfPart(made.output, accumulator(made.metric))
    if isinstance(made, TopKAccuracy) or any(made is metric for metric in PER_SAMPLE):
        return PerSample(made)
    return OfFunction(name, made)


def get(metric: Any) -> tuple[str, Metric]:
    """Return name and function of a metric, given one of them; "top_3_accuracy" works for any k.

    The function takes ``(outputs, targets)``, also where that of `deepfs.metrics` takes
    ``(y_true, y_pred)``.

    Raises
    ------
    ValueError
        If no metric has that name, or if it is no number, such as `confusion_matrix`.
    TypeError
        If it is neither a name nor a function, or if the function takes ``(y_true, y_pred)``.

    Examples
    --------
    >>> get("top_3_accuracy")
    ('top_3_accuracy', TopKAccuracy(k=3))
    """
    if isinstance(metric, str):
        return metric, by_name(metric)
    inner = metric.func if isinstance(metric, functools.partial) else metric
    known = _OF_FUNCTION.get(inner) if inspect.isfunction(inner) else None
    if known is not None and inner is not metric:
        known = with_settings(metric)
    if known is not None:
        return known.name, known
    if not callable(metric):
        raise TypeError(f"metric must be a name or a function, got {metric!r}")
    if isinstance(metric, type):
        raise TypeError(f"metric must be a name or a function, got a class: {metric.__name__}()")
    name = getattr(metric, "name", None) or getattr(inner, "__name__", None)
    name = str(name or type(metric).__name__)
    if inner is not metric and inner in PER_SAMPLE:  # its name alone would lose the settings
        name = "_".join([name, *map(str, metric.args), *map(str, metric.keywords.values())])
    refuse(metric, name)
    return name, metric


def by_name(name: str) -> Metric:
    """Return the metric of a name."""
    top = re.fullmatch(r"top_([1-9][0-9]{0,9})_accuracy", name)
    if top:
        return TopKAccuracy(int(top[1]))
    if name == "confusion_matrix":
        refuse(confusion_matrix, name)
    if name not in _BY_NAME:
        near = get_close_matches(name, _BY_NAME, 1)
        meant = f": did you mean {near[0]!r}?" if near else ""
        raise ValueError(
            f"metric must be one of {', '.join(LISTED)} (or a number for k), got {name!r}{meant}"
        )
    return _BY_NAME[name]


def with_settings(metric: functools.partial[Any]) -> Named:
    """Return a function of `deepfs.metrics` with settings, such as ``average="micro"``."""
    plain = _OF_FUNCTION[metric.func]
    settings = dict(metric.keywords)
    takes = SETTINGS.get(plain.kind, ())
    if metric.args or not settings.keys() <= {*takes}:
        raise TypeError(
            f"metric {plain.name} of a Model takes {', '.join(takes) or 'no settings'} "
            f"by name, got {shown(metric)}"
        )
    average = settings.get("average", "macro")
    if average is None:
        raise ValueError(
            f"metric {plain.name} with average=None is a number per class, and a Model needs one: "
            f"call it with model.predict(x) instead"
        )
    one_of(average, "average", ("macro", "micro", "weighted"))
    zero = number(settings.get("zero_division", 0.0), "zero_division", "[0, 1]")
    threshold = number(settings.get("threshold", 0.0), "threshold", "(-inf, inf)")
    short = plain.name.removesuffix("_score")
    name = plain.name if average == "macro" else f"{short}_{average}"
    for more, default in ((zero, 0.0), (threshold, 0.0)):
        name = name if more == default else f"{name}_{more:g}"
    return Named(plain.kind, plain.score, name, average, zero, threshold)


def refuse(metric: Callable[..., Any], name: str) -> None:
    """Raise an error for a function that is no metric of a model."""
    if metric is confusion_matrix:
        raise ValueError(
            "confusion_matrix is no number, and a Model needs one: call "
            "confusion_matrix(y, model.predict_classes(x))"
        )
    try:
        takes = list(inspect.signature(metric).parameters)
    except (TypeError, ValueError):
        return
    if takes[:1] == ["y_true"]:
        raise TypeError(
            f"a metric takes (outputs, targets), and {name} takes ({', '.join(takes[:2])}): give "
            f"lambda outputs, targets: {name}(targets, outputs), or one of deepfs.metrics"
        )


def _known() -> dict[str, Any]:
    known: dict[str, Any] = {metric.__name__: metric for metric in PER_SAMPLE}
    for name in ("acc", "sparse_categorical_accuracy", "categorical_accuracy"):
        known[name] = accuracy
    for short in CLASSWISE:
        for name in (f"{short}_score", short, f"{short}_macro"):
            known[name] = Named("classes", short, name)
        for average in ("micro", "weighted"):
            known[f"{short}_{average}"] = Named("classes", short, f"{short}_{average}", average)
        known[f"binary_{short}"] = Named("binary", short, f"binary_{short}")
        for average in ("micro", "weighted"):
            name = f"binary_{short}_{average}"
            known[name] = Named("binary", short, name, average)
    for name in ("mae", "mean_absolute_error"):
        known[name] = Named("errors", "mae", name)
    for name in ("mse", "mean_squared_error"):
        known[name] = Named("errors", "mse", name)
    for name in ("rmse", "root_mean_squared_error"):
        known[name] = Named("errors", "rmse", name)
    for name in ("r2", "r2_score"):
        known[name] = Named("r2", "r2", name)
    for name in ("roc_auc", "roc_auc_score", "auc"):
        known[name] = Named("roc_auc", "roc_auc", name)
    return known


_BY_NAME = _known()
LISTED = (
    *(metric.__name__ for metric in PER_SAMPLE),
    *("f1_score", "precision_score", "recall_score", "roc_auc_score"),
    *("binary_f1", "binary_precision", "binary_recall", "mae", "mse", "rmse", "r2"),
)
_OF_FUNCTION: dict[Any, Named] = {
    function: _BY_NAME[function.__name__]
    for function in (
        *(*CLASSWISE.values(), *BINARY.values()),
        *(mean_absolute_error, mean_squared_error, rmse, r2_score, roc_auc_score),
    )
}


def known(name: str) -> bool:
    """Return whether `get` has a metric of this name."""
    try:
        get(name)
    except ValueError:
        return False
    return True


def of_one_output(metric: Any) -> bool:
    """Return whether a metric is surely of one output, not of a tuple or dict of them."""
    inner = metric.func if isinstance(metric, functools.partial) else metric
    return isinstance(inner, (Named, TopKAccuracy)) or any(inner is known for known in PER_SAMPLE)


def threshold_of(metric: Any) -> float | None:
    """Return the threshold of a metric of yes-or-no outputs; None if it has none."""
    if isinstance(metric, Named):
        return metric.threshold if metric.kind == "binary" else None
    if isinstance(metric, functools.partial) and metric.func in (binary_accuracy, subset_accuracy):
        return float(metric.keywords.get("threshold", 0.0))
    return 0.0 if metric is binary_accuracy or metric is subset_accuracy else None


def plain_name(metric: Any) -> str:
    """Return the name of the function of a metric with a threshold."""
    if isinstance(metric, Named):
        return f"binary_{metric.score}"
    return str(metric.func.__name__ if isinstance(metric, functools.partial) else metric.__name__)


def binary_instead(metric: Any) -> str:
    """Return the metric to use for one output instead of one over classes; "" if it is not one."""
    if isinstance(metric, Named):
        return f"binary_{metric.score}" if metric.kind == "classes" else ""
    over_classes = (
        metric is accuracy or metric is top_k_accuracy or isinstance(metric, TopKAccuracy)
    )
    return "binary_accuracy" if over_classes else ""
