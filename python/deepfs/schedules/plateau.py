"""Reduce the learning rate when a metric stops improving."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import inf, isnan

from .._check import number, one_of, shown, whole
from .._names import hint
from ._base import MOVES, Schedule


@dataclass
class Plateau(Schedule):
    """Reduce on plateau: multiply the rate by ``factor`` when a metric has stopped improving.

    Parameters
    ----------
    lr : float
        The first rate, above 0.
    factor : float
        Factor of each change, in (0, 1).
    patience : int
        Epochs without improvement that are tolerated; after one more, the rate changes.
    monitor : str, optional
        Name of a number in the logs of an epoch. By default ``val_loss`` if there is one, else
        ``loss``.
    mode : {"min", "max"}
        Whether smaller or larger values are better.
    threshold : float
        Least improvement that counts, as a part of the best value so far, in [0, 1).
    cooldown : int
        Epochs after a change in which no epoch counts as one without improvement.
    least : float
        Lower bound of the rate, at least 0.
    best, waited, cooling, cuts : float or None, int, int, int
        State: the best value, epochs without improvement, epochs of cooldown left, number of
        changes. `observe` updates them; files keep them. Leave them out when you make one.

    Raises
    ------
    TypeError, ValueError
        If a setting is of the wrong kind or out of range.

    Notes
    -----
    Like ``torch.optim.lr_scheduler.ReduceLROnPlateau``, whose threshold is relative too. NaN is not
    an improvement.

    Examples
    --------
    >>> plateau = Plateau(1.0, factor=0.5, patience=1)
    >>> for loss in (3.0, 2.0, 2.0, 2.0, 1.0):
    ...     plateau.observe({"loss": loss})
    ...     print(plateau(0), end=" ")
    1.0 1.0 1.0 0.5 0.5
    """

    lr: float
    factor: float = 0.1
    patience: int = 10
    monitor: str | None = None
    mode: str = "min"
    threshold: float = 1e-4
    cooldown: int = 0
    least: float = 0.0
    best: float | None = field(default=None, kw_only=True, metadata=MOVES)
    waited: int = field(default=0, kw_only=True, metadata=MOVES)
    cooling: int = field(default=0, kw_only=True, metadata=MOVES)
    cuts: int = field(default=0, kw_only=True, metadata=MOVES)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.factor = number(self.factor, "factor", "(0, 1)")
        if not isinstance(self.monitor, str | None):
            raise TypeError(f"monitor must be a str or None, got {shown(self.monitor)}")
        self.mode = one_of(self.mode, "mode", ("min", "max"))
        self.threshold = number(self.threshold, "threshold", "[0, 1)")
        self.least = number(self.least, "least", "[0, inf)")
        if self.best is not None:
            self.best = number(self.best, "best", "[-inf, inf]")
        for name in ("patience", "cooldown", "waited", "cooling", "cuts"):
            setattr(self, name, whole(getattr(self, name), name, 0))

    def __call__(self, count: float) -> float:
        return max(self.lr * self.factor**self.cuts, min(self.lr, self.least))

    def _monitored(self, names: Iterable[str]) -> str:
        return self.monitor or ("val_loss" if "val_loss" in names else "loss")

    def check_logs(self, names: Iterable[str]) -> None:
        names = list(names)
        name = self._monitored(names)
        if name not in names:
            meant = hint(name, names) if names else f": end_epoch({{{name!r}: ...}})"
            has = ", ".join(names) or "no numbers"
            raise ValueError(f"Plateau monitors {name!r}, but the epoch has {has}{meant}")

    def _margin(self, best: float) -> float:
        return self.threshold * abs(best)

    def observe(self, logs: Mapping[str, float]) -> None:
        self.check_logs(logs)
        value = float(logs[self._monitored(logs)])
        sign = 1 if self.mode == "min" else -1
        best = sign * inf if self.best is None else self.best
        margin = 0.0 if self.best is None else self._margin(best)
        if not isnan(value) and sign * value < sign * best - margin:
            self.best, self.waited = value, 0
        else:
            self.waited += 1
        if self.cooling > 0:
            self.cooling, self.waited = self.cooling - 1, 0
        if self.waited > self.patience:
            self.cuts, self.waited, self.cooling = self.cuts + 1, 0, self.cooldown
