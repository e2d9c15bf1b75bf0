"""What a model says of a data set: right and predicted classes, names of classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .._arrays import Array
from .._check import array, shown
from ..data.batches import DataSet, unprepared
from ..data.facts import check_same_names
from ..data.loader import as_loader


def checked_model(model: Any, who: str) -> Any:
    """Return a model if it is one."""
    if not all(hasattr(model, name) for name in ("network", "predict", "predict_classes")):
        raise TypeError(f"plots.{who} takes a deepfs.Model, got {shown(model)}")
    return model


def class_names(model: Any, names: Any, classes: int) -> list[str]:
    """Return a name per class: those given, those of the model, or numbers."""
    found = getattr(model, "class_names", None) if names is None else names
    if found is None:
        return [str(k) for k in range(classes)]
    if isinstance(found, str) or not isinstance(found, (Sequence, np.ndarray)):
        raise TypeError(f"names must be a list of names of classes, got {shown(found)}")
    if len(found) < classes:
        raise ValueError(f"names must have one of each of {classes} classes, got {len(found)}")
    return [str(name) for name in found]


def class_number(model: Any, target: Any, names: Any = None) -> Any:
    """Return a class as its number; its name is looked up among those of the model."""
    if not isinstance(target, str):
        return target
    known = names if names is not None else getattr(model, "class_names", None)
    if known is None:
        raise ValueError(f"the model has no class_names: give target {target!r} as a number")
    known = list(known)
    if target not in known:
        raise ValueError(f"target must be one of {', '.join(map(str, known))}, got {target!r}")
    return known.index(target)


def raw_of(model: Any, x: Any) -> Any:
    """Return inputs as a model takes them: those of a data set without what the model does, too."""
    x = as_loader(x) or x
    if isinstance(x, DataSet):
        check_same_names(getattr(model, "class_names", None), x)
        if getattr(model, "preprocess", None) is not None:
            return unprepared(x)
    return x


def first_of(x: Any, count: int) -> tuple[Any, Any, Any]:
    """Return inputs, and of a data set the first ones, raw, with their targets and class names."""
    x = as_loader(x) or x
    if not isinstance(x, DataSet):
        return x, None, None
    x = unprepared(x)
    batch = x.take(slice(0, count))
    return batch.x, batch.y, getattr(x, "class_names", None)


def labels_of(x: Any, y: Any, who: str) -> Array:
    """Return the right classes as integers: of targets, or of the batches of a loader."""
    if y is None and hasattr(x, "parts"):
        y = np.concatenate([np.asarray(batch.y) for batch in x.parts(256)])
    if y is None:
        raise TypeError(f"plots.{who} needs the right classes beside the inputs, got y=None")
    y = array(y, who)
    if y.dtype.kind == "f" and y.ndim > 1 and y.shape[1] > 1:
        return y.argmax(axis=1)
    if y.dtype.kind == "f" and np.isfinite(y).all() and (y == np.floor(y)).all():
        y = y.astype(np.int64)
    if y.dtype.kind not in "iub":
        raise TypeError(f"plots.{who} needs integer labels or probabilities, got {y.dtype}")
    return y.reshape(len(y)) if y.shape == (len(y), 1) else y


def answers(model: Any, x: Any, y: Any, who: str) -> tuple[Array, Array]:
    """Return right and predicted classes of samples, as arrays of one shape."""
    if x is None:
        raise TypeError(f"plots.{who} needs inputs beside the model, got x=None")
    labels = labels_of(x, y, who)
    predicted = checked_model(model, who).predict_classes(x)
    if not isinstance(predicted, np.ndarray):
        raise ValueError(f"plots.{who} takes a model of one output, got one of several")
    if predicted.shape != labels.shape:
        raise ValueError(
            f"plots.{who} needs a label for each of {predicted.shape} predictions, "
            f"got {labels.shape}"
        )
    return labels, predicted


def taken(x: Any, index: Array) -> Array:
    """Return some inputs, of arrays or of a loader."""
    if hasattr(x, "take") and hasattr(x, "parts"):
        return np.asarray(x.take(index).x)
    order = np.argsort(index)  # arrays in files are read in order
    found = np.asarray(x[index[order]])
    return found[np.argsort(order)]


def probabilities_of(model: Any, x: Array, classes: Array) -> list[float | None]:
    """Return the probability of one class of each sample; None where there are none."""
    try:
        p = model.predict_proba(x)
    except ValueError:
        return [None] * len(x)
    p = p.reshape(len(p), -1)
    if p.shape[1] == 1:  # the probability of 1
        p = np.concatenate([1 - p, p], axis=1)
    return [float(row[k]) for row, k in zip(p, classes, strict=True)]


def network_inputs(model: Any, x: Any) -> Array:
    """Return what the network gets of inputs: preprocessed, if the model does that."""
    preprocess = getattr(model, "preprocess", None)
    x = np.asarray(x)
    return x if preprocess is None else np.asarray(preprocess(x))
