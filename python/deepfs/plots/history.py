"""Curves of a training run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .._check import shown
from .._names import hint
from ._figure import grid, need_matplotlib, short

MARKED = 30  # epochs up to which each has a mark
LARGEST = 1e300  # the distance of two such numbers is still a float


def history(history: Any, ax: Any = None, *, metrics: Sequence[str] | None = None) -> Any:
    """Plot loss and metrics over the epochs.

    Parameters
    ----------
    history : History or dict of list of float
        What `Model.fit` returns; ``val_loss`` is the validation of ``loss``, and so on.
    ax : Axes or array of Axes, optional
        Where to draw. Into one Axes, all curves are drawn. By default, a new figure has one Axes
        for each metric.
    metrics : sequence of str, optional
        Names to plot, without ``val_``. By default all.

    Returns
    -------
    Axes, or array of Axes
        The one Axes that was given; else an array with one for each metric.

    Raises
    ------
    ImportError
        If Matplotlib is not installed.
    TypeError, ValueError
        If there is no history, no epoch, or no such metric.

    Notes
    -----
    Training and validation of a metric have the same colour; validation is dashed, with open marks.
    Epochs count from 1. NaN and infinity leave gaps.

    Examples
    --------
    >>> import deepfs as dfs
    >>> axes = dfs.plots.history({"loss": [2.0, 1.0, 0.5], "val_loss": [2.1, 1.2, 0.9]})
    >>> [line.get_label() for line in axes[0].get_lines()]
    ['training', 'validation']
    """
    need_matplotlib("plots.history")
    curves = curves_of(history)
    names = [name for name in curves if not (name.startswith("val_") and name[4:] in curves)]
    if metrics is not None:
        wanted = [metrics] if isinstance(metrics, str) else list(metrics)
        for name in wanted:
            if name not in names:
                has = hint(str(name), names) or f": it has {', '.join(names)}"
                raise ValueError(f"the history has no metric {name!r}{has}")
        names = wanted or names
    from matplotlib.axes import Axes

    if isinstance(ax, Axes):
        several = len(names) > 1
        for number, name in enumerate(names):
            draw(ax, curves, name, f"C{number}", f"{short(name, 24)}: " if several else "")
        ax.set_ylabel("" if several else short(names[0], 30))
        finish(ax)
        return ax
    axes = grid(ax, "history", len(names), min(len(names), 3), (3.6, 2.9))
    for number, (panel, name) in enumerate(zip(axes, names, strict=True)):
        draw(panel, curves, name, f"C{number}", "")
        panel.set_title(short(name, 30))
        finish(panel)
    return axes


def curves_of(history: Any) -> dict[str, Any]:
    """Return the lists of a history that have entries, as arrays."""
    lists = getattr(history, "history", history)
    if not isinstance(lists, Mapping):
        raise TypeError(
            f"plots.history takes what fit returns, or a dict of lists, got {shown(history)}"
        )
    curves: dict[str, Any] = {}
    for name, values in lists.items():
        try:
            numbers = np.asarray(values, np.float64)
        except (TypeError, ValueError):
            numbers = np.zeros((0, 0))
        if numbers.ndim != 1:
            raise TypeError(f"the history of {name!r} must be a list of numbers")
        if len(numbers):
            numbers = np.where(np.isfinite(numbers), numbers, np.nan)
            curves[str(name)] = np.clip(numbers, -LARGEST, LARGEST)
    if not curves:
        raise ValueError("plots.history needs a history of at least 1 epoch, got none")
    return curves


def draw(ax: Any, curves: Mapping[str, Any], name: str, colour: str, before: str) -> None:
    """Draw training and validation of a metric."""
    lines = [(curves[name], "training", "-", colour)]
    if f"val_{name}" in curves:
        lines.append((curves[f"val_{name}"], "validation", "--", "none"))
    for values, label, style, inside in lines:
        mark = "o" if len(values) <= MARKED else None
        epochs = np.arange(1, len(values) + 1)
        ax.plot(
            epochs, values, style, color=colour, marker=mark, markersize=4,
            markerfacecolor=inside, label=f"{before}{label}",
        )  # fmt: skip


def finish(ax: Any) -> None:
    """Label the axes."""
    from matplotlib.ticker import MaxNLocator

    ax.set_xlabel("epoch")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    if len(ax.get_lines()) > 1:
        ax.legend()
