"""Which classes a model takes for which."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Any

import numpy as np

from .._arrays import Array
from .._check import array, one_of, whole
from ..metrics import confusion_matrix as counted
from ._answers import answers, class_names, raw_of
from ._figure import INCH, checked, contrast, need_matplotlib, new_figure, short, size_of

NORMALIZE = (None, "true", "pred", "all")
NAME = 20  # most characters of a name at an axis
READABLE = 5.0  # least size of a font, in points


def confusion_matrix(
    model: Any,
    x: Any = None,
    y: Any = None,
    *,
    names: Sequence[str] | None = None,
    normalize: str | None = None,
    ax: Any = None,
) -> Any:
    """Plot how many samples of each class were predicted as each class.

    Parameters
    ----------
    model : Model or array (classes, classes)
        The model that predicts; or a matrix, as `metrics.confusion_matrix` returns it.
    x, y : array (n, ...), optional
        Inputs and right classes (labels or probabilities). ``x`` may be a loader that has them.
    names : sequence of str, optional
        Names of the classes. By default the model's ``class_names``, or numbers.
    normalize : {None, "true", "pred", "all"}
        What a cell says: a count; or a percentage of the right class (its row), of the predicted
        class (its column), or of all, as in scikit-learn.
    ax : Axes, optional
        Where to draw; by default in a new figure.

    Returns
    -------
    Axes

    Raises
    ------
    ImportError
        If Matplotlib is not installed.
    TypeError, ValueError
        If labels do not fit the predictions, the matrix is not square, or names are missing.

    Notes
    -----
    Colour is the share of the right class, so that classes of different size can be compared; its
    scale is that of square roots, so that few mistakes can be seen. Cells too small for a text have
    none. Where there are more classes than lines of text, every second one has its name, or fewer.

    References
    ----------
    ``sklearn.metrics.ConfusionMatrixDisplay``, fastai's ``plot_confusion_matrix``.

    Examples
    --------
    >>> import deepfs as dfs
    >>> ax = dfs.plots.confusion_matrix([[9, 1], [2, 8]], names=["cat", "dog"])
    >>> [text.get_text() for text in ax.texts]
    ['9', '1', '2', '8']
    """
    need_matplotlib("plots.confusion_matrix")
    one_of(normalize, "normalize", NORMALIZE)
    matrix, labels = matrix_of(model, x, y, names, "confusion_matrix")
    k = len(matrix)
    if ax is None:
        inside = min(max(2.4, 0.42 * k), 8.0)  # inches
        beside = 0.09 * min(max(map(len, labels)), NAME) + 0.6
        ax = new_figure(inside + beside + 1.4, inside + beside).subplots()
    else:
        inside = min(size_of(checked(ax, "confusion_matrix"))) * 0.8

    from matplotlib.colors import PowerNorm

    rows = share(matrix, matrix.sum(axis=1, keepdims=True))
    picture = ax.imshow(rows, "Blues", norm=PowerNorm(0.5, 0, 1), aspect="equal")
    bar = ax.figure.colorbar(picture, ax=ax, ticks=[0, 0.01, 0.05, 0.2, 0.5, 1], shrink=0.9)
    bar.ax.set_yticklabels(["0", "1 %", "5 %", "20 %", "50 %", "100 %"])
    bar.set_label("share of the true class")
    ax.set_xlabel("predicted")
    ax.set_ylabel("true")
    cell = inside / k * INCH  # in points
    font = min(float(bar.ax.yaxis.label.get_size()), max(READABLE, 0.75 * cell))
    ticks = np.arange(0, k, max(1, ceil(1.15 * font / cell)))
    texts = [short(labels[i], NAME) for i in ticks]
    ax.set_xticks(ticks, texts, fontsize=font)
    ax.set_yticks(ticks, texts, fontsize=font)
    if max(map(len, texts)) * 0.62 * font > cell * (ticks[1] - ticks[0] if len(ticks) > 1 else k):
        ax.tick_params(axis="x", labelrotation=90 if max(map(len, texts)) > 3 or k > 30 else 0)
    write_cells(ax, matrix, normalize, picture, cell)
    return ax


def write_cells(ax: Any, matrix: Array, normalize: str | None, picture: Any, cell: float) -> None:
    """Write what the cells say, if there is room."""
    if normalize is None:
        texts = [[f"{count}" for count in row] for row in matrix]
    else:
        total = {"true": matrix.sum(1, keepdims=True), "pred": matrix.sum(0, keepdims=True)}
        part = 100 * share(matrix, total.get(normalize, matrix.sum()))
        texts = [[f"{value:.0f}" if value >= 1 or not value else "<1" for value in row]
                 for row in part]  # fmt: skip
        ax.set_title({"true": "% of the true class", "pred": "% of the predicted class",
                      "all": "% of all samples"}[normalize])  # fmt: skip
    longest = max(len(text) for row in texts for text in row)
    font = min(11.0, cell / (0.68 * max(longest, 2)))
    if font < READABLE:
        return
    colours = picture.cmap(picture.norm(picture.get_array()))
    for i, row in enumerate(texts):
        for j, text in enumerate(row):
            ax.text(j, i, text, ha="center", va="center", fontsize=font,
                    color=contrast(colours[i, j]))  # fmt: skip


def share(matrix: Array, total: Any) -> Array:
    """Return parts of totals; of nothing, 0."""
    return np.divide(matrix, total, out=np.zeros(matrix.shape), where=np.asarray(total) > 0)


def most_confused(
    model: Any,
    x: Any = None,
    y: Any = None,
    *,
    names: Sequence[str] | None = None,
    min_val: int = 1,
) -> list[tuple[str, str, int]]:
    """Return which classes are taken for which, most frequent first.

    Parameters
    ----------
    model, x, y, names
        As in `confusion_matrix`.
    min_val : int
        Least count that is listed.

    Returns
    -------
    list of (true, predicted, count)
        Names of classes and the number of samples. Of equal counts, lower classes come first.

    Raises
    ------
    TypeError, ValueError
        As `confusion_matrix`.

    References
    ----------
    fastai's ``ClassificationInterpretation.most_confused``.

    Examples
    --------
    >>> import deepfs as dfs
    >>> dfs.plots.most_confused([[9, 1], [2, 8]], names=["cat", "dog"])
    [('dog', 'cat', 2), ('cat', 'dog', 1)]
    """
    least = whole(min_val, "min_val", 0)
    matrix, labels = matrix_of(model, x, y, names, "most_confused")
    pairs = [
        (labels[i], labels[j], int(count))
        for (i, j), count in np.ndenumerate(matrix)
        if i != j and count >= least
    ]
    return sorted(pairs, key=lambda pair: -pair[2])


def matrix_of(model: Any, x: Any, y: Any, names: Any, who: str) -> tuple[Array, list[str]]:
    """Return a confusion matrix and the names of its classes."""
    if isinstance(model, (np.ndarray, list, tuple)):
        matrix = array(model, who)
        if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not matrix.size:
            raise ValueError(f"plots.{who} takes a square matrix of counts, got {matrix.shape}")
        if matrix.dtype.kind not in "iuf" or not (np.isfinite(matrix) & (matrix >= 0)).all():
            raise ValueError(f"plots.{who} takes a matrix of counts, at least 0")
        if x is not None or y is not None:
            raise TypeError(f"plots.{who} takes a matrix, or a model with inputs and targets")
        if (matrix != np.floor(matrix)).any():
            raise ValueError(f"plots.{who} takes counts, got parts: leave the normalization to it")
        return matrix.astype(np.int64), class_names(None, names, len(matrix))
    labels, predicted = answers(model, raw_of(model, x), y, who)
    known = names if names is not None else getattr(model, "class_names", None)
    least = int(max(labels.max(), predicted.max())) + 1
    classes = max(least, outputs_of(model), 0 if known is None else len(known))
    return counted(labels, predicted, classes), class_names(model, names, classes)


def outputs_of(model: Any) -> int:
    """Return the number of classes that a network has outputs for."""
    network = model.network
    width = network.out_shape(network.in_shape)[0]
    return 2 if width == 1 else int(width)
