"""Learning rates: the result of `Model.lr_find`, and schedules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .._check import shown, whole
from ..schedules import Constant, Schedule
from ..schedules.function import from_function
from ._figure import need_matplotlib, one_axes, rounded, short


def learning_rate_finder(test: Any, ax: Any = None) -> Any:
    """Plot the loss over the learning rate, with the suggested rate.

    Parameters
    ----------
    test : RangeTest
        What `Model.lr_find` returns.
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
        If it is no such result, or the test took no step.

    References
    ----------
    Smith, "Cyclical learning rates for training neural networks", 2017, arXiv:1506.01186. The
    picture is that of fastai's ``lr_find``.

    Examples
    --------
    >>> import deepfs as dfs
    >>> (x, y), _ = dfs.datasets.mnist_mini()
    >>> model = dfs.Model(dfs.networks.mlp(), dfs.losses.CrossEntropy(), dfs.optimizers.Adam())
    >>> ax = dfs.plots.learning_rate_finder(model.lr_find(x, y, steps=20))
    >>> ax.get_xscale()
    'log'
    """
    need_matplotlib("plots.learning_rate_finder")
    if not all(hasattr(test, name) for name in ("lrs", "losses", "smooth")):
        raise TypeError(
            f"plots.learning_rate_finder takes what model.lr_find(x, y) returns, got {shown(test)}"
        )
    if not len(test.lrs):
        raise ValueError("the range test took no step: lr_find needs a smaller min_lr")
    ax = one_axes(ax, "learning_rate_finder")
    mark = "o" if len(test.lrs) == 1 else None
    ax.plot(test.lrs, test.losses, color="C0", alpha=0.4, linewidth=1, marker=mark,
            label="loss of the batch")  # fmt: skip
    ax.plot(test.lrs, test.smooth, color="C0", label="smoothed")
    try:
        rate = test.suggestion
    except ValueError:
        rate = None
    if rate is not None:
        ax.axvline(rate, color="C1", linestyle="--", label=f"suggestion {rounded(rate)}")
    ax.set_xscale("log")
    # the explosion at the end would hide the fall
    low, start = float(test.smooth.min()), float(test.smooth[0])
    high = max(start + 0.5 * (start - low), float(test.losses[: max(len(test.lrs) // 2, 1)].max()))
    if high > low:
        ax.set_ylim(low - 0.1 * (high - low), high + 0.1 * (high - low))
    ax.set_xlabel("learning rate")
    ax.set_ylabel("loss")
    ax.legend()
    return ax


def schedule(
    schedule: Any, steps: int, ax: Any = None, *, steps_per_epoch: int | None = None
) -> Any:
    """Plot the learning rate that a schedule gives.

    Parameters
    ----------
    schedule : Schedule, float, function, optimizer, or dict of these
        The schedule; that of an optimizer. Those of a dict are drawn together, with their names.
    steps : int
        Number of steps; of epochs, if the schedule counts epochs and ``steps_per_epoch`` is not
        given.
    ax : Axes, optional
        Where to draw; by default in a new figure.
    steps_per_epoch : int, optional
        Steps after which an epoch ends, for schedules that count epochs.

    Returns
    -------
    Axes

    Raises
    ------
    ImportError
        If Matplotlib is not installed.
    TypeError, ValueError
        If it is no schedule; if schedules count differently and ``steps_per_epoch`` is not given.

    Notes
    -----
    A schedule that depends on results, such as `schedules.Plateau`, is drawn as it stands now.

    Examples
    --------
    >>> import deepfs as dfs
    >>> ax = dfs.plots.schedule(dfs.schedules.Cosine(0.1, total=100), 100)
    >>> float(ax.get_lines()[0].get_ydata()[0])
    0.1
    """
    need_matplotlib("plots.schedule")
    steps = whole(steps, "steps")
    if steps_per_epoch is not None:
        steps_per_epoch = whole(steps_per_epoch, "steps_per_epoch")
    given = dict(schedule) if isinstance(schedule, Mapping) else {"": schedule}
    known = {str(name): checked_schedule(entry) for name, entry in given.items()}
    if not known:
        raise ValueError("plots.schedule needs at least 1 schedule, got an empty dict")
    units = {unit_of(entry) for entry in known.values()} - {""}
    if steps_per_epoch is None and (len(units) > 1 or "both" in units):
        raise ValueError("schedules by step and by epoch together need steps_per_epoch=")
    unit = "epoch" if units == {"epoch"} and steps_per_epoch is None else "step"
    ax = one_axes(ax, "schedule")
    counts = np.arange(steps)
    for number, (name, entry) in enumerate(known.items()):
        if steps_per_epoch is None:
            rates = [entry.at(int(k), int(k)) for k in counts]
        else:
            rates = [entry.at(int(k), int(k) // steps_per_epoch) for k in counts]
        label = short(name, 30) if name else None
        style = ("-", "--", "-.", ":")[number % 4]
        mark = "o" if steps <= 30 else None
        ax.plot(counts, rates, style, drawstyle="steps-post" if steps <= 30 else "default",
                marker=mark, markersize=3, label=label)  # fmt: skip
    ax.set_xlabel(unit)
    ax.set_ylabel("learning rate")
    ax.set_ylim(bottom=0)
    if any(known):
        ax.legend()
    return ax


def checked_schedule(given: Any) -> Schedule:
    """Return a schedule, that of an optimizer, a constant rate or a function as a schedule."""
    given = getattr(given, "lr", given) if not isinstance(given, Schedule) else given
    given = from_function(given, "schedule")
    if isinstance(given, Schedule):
        return given
    if isinstance(given, (int, float)) and not isinstance(given, bool):
        return Constant(float(given))
    raise TypeError(
        f"plots.schedule takes a schedule, a rate, a function or an optimizer, got {shown(given)}"
    )


def unit_of(schedule: Schedule) -> str:
    """Return what a schedule counts: "step", "epoch", "both", or "" for nothing."""
    if isinstance(schedule, Constant):
        return ""
    then = getattr(schedule, "then", None)
    if isinstance(then, Schedule) and unit_of(then) not in ("", schedule.by):
        return "both"
    return schedule.by
