"""The number that a callback monitors: its name, and whether smaller or larger is better."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan

from .._check import shown
from .._names import hint

# Last words of the names of losses and metrics, of deepfs and of others.
SMALLER = ("loss", "error", "mse", "mae", "rmse")
LARGER = ("accuracy", "acc", "auc", "f1", "f1_score", "precision", "precision_score", "recall",
          "recall_score", "r2", "r2_score", "auc_score", "iou")  # fmt: skip


MODES = ("auto", "min", "max")


def monitor_name(monitor: str, who: str) -> str:
    """Return the name of a monitored number if it is one; else raise TypeError."""
    if not isinstance(monitor, str):
        raise TypeError(f"{who} monitors a number by its name, got {shown(monitor)}")
    return monitor


def sign_of(monitor: str, mode: str, who: str) -> int:
    """Return 1 if smaller values are better, -1 if larger are.

    Raises
    ------
    ValueError
        If the mode is "auto" and the name does not tell.
    """
    if mode != "auto":
        return 1 if mode == "min" else -1
    name = f"_{monitor.removeprefix('val_')}"
    if name.endswith(("_squared_error", "_absolute_error", *(f"_{end}" for end in SMALLER))):
        return 1
    if name.endswith(tuple(f"_{end}" for end in LARGER)):
        return -1
    raise ValueError(
        f"{who} cannot tell whether smaller or larger values of {monitor!r} are better: give "
        'mode="min" or mode="max"'
    )


def check_monitor(who: str, monitor: str, mode: str, names: Sequence[str]) -> None:
    """Raise ValueError if no number of an epoch has this name, or if its direction is unclear."""
    meant = hint(monitor, names)
    if monitor.startswith("val_") and not any(name.startswith("val_") for name in names):
        meant = ": give fit validation_data"
        if monitor.removeprefix("val_") in names:
            meant += f", or monitor {monitor.removeprefix('val_')!r}"
    if monitor in names or not meant:
        sign_of(monitor, mode, who)
    if monitor in names:
        return
    raise ValueError(f"{who} monitors {monitor!r}, but an epoch has {', '.join(names)}{meant}")


def is_better(value: float, than: float | None, sign: int, margin: float = 0.0) -> bool:
    """Return whether a value is better by more than a margin; NaN never is, None is no value."""
    if isnan(value):
        return False
    return than is None or sign * value < sign * than - margin
