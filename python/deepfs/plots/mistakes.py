"""Images on which a model is wrong, or has the largest losses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .._arrays import Array
from .._check import whole
from ._answers import (
    answers,
    checked_model,
    class_names,
    labels_of,
    probabilities_of,
    raw_of,
    taken,
)
from ._figure import need_matplotlib, one_axes, rounded, short
from .images import NAME, as_pictures, show


def misclassified(
    model: Any,
    x: Any,
    y: Any = None,
    *,
    names: Sequence[str] | None = None,
    count: int = 16,
    columns: int | None = None,
    ax: Any = None,
) -> Any:
    r"""Show images that a model takes for another class, most certain mistakes first.

    Parameters
    ----------
    model : Model
        The model.
    x, y : array (n, c, h, w), array (n,)
        Images and right classes. ``x`` may be a loader that has them.
    names : sequence of str, optional
        Names of the classes. By default the model's ``class_names``, or numbers.
    count : int
        Largest number of images.
    columns : int, optional
        Images side by side.
    ax : Axes or array of Axes, optional
        Where to draw: one Axes is divided. By default, in a new figure.

    Returns
    -------
    array (n,) of Axes
        Empty if no image is misclassified: then one Axes, or a new figure, says so.

    Raises
    ------
    ImportError
        If Matplotlib is not installed.
    TypeError, ValueError
        If these are no images, or labels do not fit the predictions.

    Examples
    --------
    >>> import deepfs as dfs
    >>> (x, y), _ = dfs.datasets.mnist_mini()
    >>> net = dfs.networks.mlp((8,))
    >>> model = dfs.Model(net, dfs.losses.CrossEntropy(), dfs.optimizers.SGD())
    >>> axes = dfs.plots.misclassified(model, x[:100], y[:100], count=4)
    >>> [line.split()[0] for line in axes[0].get_title().split("\n")]
    ['true', 'said']
    """
    need_matplotlib("plots.misclassified")
    count = whole(count, "count")
    x = raw_of(model, x)
    labels, predicted = answers(model, x, y, "misclassified")
    one_each(labels, "misclassified")
    wrong = np.flatnonzero(labels != predicted)
    if not len(wrong):
        none_wrong(ax, len(labels))
        return np.empty(0, object)
    sure = certainty(model, x, wrong, predicted)
    picked = wrong[np.argsort(-sure, kind="stable")[:count]]
    return show_answers(model, x, labels, predicted, picked, names, columns, ax, "misclassified")


def top_losses(
    model: Any,
    x: Any,
    y: Any = None,
    *,
    names: Sequence[str] | None = None,
    count: int = 16,
    columns: int | None = None,
    ax: Any = None,
) -> Any:
    """Show the images with the largest losses.

    Parameters
    ----------
    model : Model
        The model.
    x, y : array (n, c, h, w), array (n, ...)
        Images and targets. ``x`` may be a loader that has them.
    names, count, columns, ax
        As in `misclassified`.

    Returns
    -------
    array (n,) of Axes

    Raises
    ------
    ImportError
        If Matplotlib is not installed.
    TypeError, ValueError
        If these are no images, or targets do not fit the loss.

    Notes
    -----
    The loss is the model's, with class weights and label smoothing; of several terms for an image,
    their mean. For losses that are not of classes, the title has the loss only.

    References
    ----------
    fastai's ``Interpretation.plot_top_losses``.

    Examples
    --------
    >>> import deepfs as dfs
    >>> (x, y), _ = dfs.datasets.mnist_mini()
    >>> net = dfs.networks.mlp((8,))
    >>> model = dfs.Model(net, dfs.losses.CrossEntropy(), dfs.optimizers.SGD())
    >>> axes = dfs.plots.top_losses(model, x[:100], y[:100], count=4)
    >>> len(axes)
    4
    """
    need_matplotlib("plots.top_losses")
    count = whole(count, "count")
    x = raw_of(checked_model(model, "top_losses"), x)
    losses = losses_of(model, x, y)
    picked = np.argsort(-losses, kind="stable")[:count]
    texts = [f"loss {rounded(losses[i])}" for i in picked]
    try:
        labels, predicted = answers(model, x, y, "top_losses")
        one_each(labels, "top_losses")
    except (TypeError, ValueError):  # no classes: numbers, or one for each pixel
        pictures = as_pictures(taken(x, picked), "top_losses")
        return show(pictures, texts, "top_losses", columns, ax)
    return show_answers(
        model, x, labels, predicted, picked, names, columns, ax, "top_losses", texts
    )


def losses_of(model: Any, x: Any, y: Any) -> Array:
    """Return the loss of each sample."""
    if y is None:
        y = labels_of(x, None, "top_losses")
    outputs, targets = model.predict(x), np.asarray(y)
    if not isinstance(outputs, np.ndarray):
        raise ValueError("plots.top_losses takes a model of one output, got one of several")
    terms = np.asarray(model.loss.terms(outputs, targets)[0], np.float64)
    if not len(terms) or len(terms) != len(outputs):
        raise ValueError("plots.top_losses needs a loss with a term for each sample")
    return terms.reshape(len(terms), -1).mean(axis=1)


def certainty(model: Any, x: Any, index: Array, predicted: Array) -> Array:
    """Return the probabilities of predictions; zeros where there are none."""
    p = probabilities_of(model, taken(x, index), predicted[index])
    return np.array([0.0 if value is None else value for value in p])


def one_each(labels: Array, who: str) -> None:
    """Raise ValueError if samples have several labels."""
    if labels.ndim != 1:
        raise ValueError(f"plots.{who} takes one class of each image, got labels {labels.shape}")


def show_answers(
    model: Any,
    x: Any,
    labels: Array,
    predicted: Array,
    picked: Array,
    names: Any,
    columns: int | None,
    ax: Any,
    who: str,
    more: Sequence[str] = (),
) -> Any:
    """Draw images with right and predicted class and its probability."""
    some = taken(x, picked)
    known = class_names(model, names, int(max(labels.max(), predicted.max())) + 1)
    p = probabilities_of(model, some, predicted[picked])
    titles = []
    for place, i in enumerate(picked):
        said = short(known[int(predicted[i])], NAME)
        value = p[place]
        said += "" if value is None else f" ({percent(value)})"
        lines = [f"true {short(known[int(labels[i])], NAME)}", f"said {said}", *more[place:][:1]]
        titles.append("\n".join(lines))
    return show(as_pictures(some, who), titles, who, columns, ax)


def percent(p: float) -> str:
    """Return a probability as ``97 %``; only 1 itself is 100 %."""
    if 0.995 <= p < 1:
        return ">99 %"
    return "<1 %" if 0 < p < 0.005 else f"{100 * p:.0f} %"


def none_wrong(ax: Any, samples: int) -> None:
    """Say in a picture that there is nothing to see."""
    first = ax if ax is None or not isinstance(ax, (np.ndarray, list, tuple)) else np.ravel(ax)[0]
    found = one_axes(first, "misclassified", 4.0, 1.0)
    found.set_axis_off()
    found.text(0.5, 0.5, f"none of {samples:,} images is misclassified", ha="center", va="center")
