"""Schedules: learning rates that change as training goes on.

A schedule is a function of a count from 0: ``schedule(7)`` is the rate of the eighth step, or of
the eighth epoch where ``by="epoch"``. So one can be plotted, and given to any optimizer as its
``lr``. Beyond their ends schedules stay at their last value.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import cos, inf, isnan, pi

from ._check import number, one_of, whole

__all__ = [
    "Constant",
    "Cosine",
    "CosineRestarts",
    "Exponential",
    "InverseTime",
    "MultiStep",
    "OneCycle",
    "Plateau",
    "Polynomial",
    "Schedule",
    "Step",
    "Warmup",
]

MOVES = {"moves": True}  # of a field that says where a schedule stands; a resumed run sets it


@dataclass
class Schedule(ABC):
    """A learning rate as a function of steps or epochs. Write one with `__call__`.

    Parameters
    ----------
    by : {"step", "epoch"}
        What is counted.

    Examples
    --------
    >>> import numpy as np
    >>> schedule = Warmup(2, then=Step(0.8, every=3, factor=0.5))
    >>> [round(schedule(step), 3) for step in range(9)]
    [0.008, 0.404, 0.8, 0.8, 0.8, 0.4, 0.4, 0.4, 0.2]
    """

    by: str = field(default="step", kw_only=True)

    def __post_init__(self) -> None:
        self.by = one_of(self.by, "by", ("step", "epoch"))
        if "lr" in vars(self):
            vars(self)["lr"] = number(vars(self)["lr"], "lr", "(0, inf)")

    @abstractmethod
    def __call__(self, count: float) -> float:
        """Return the rate after ``count`` steps, or epochs."""

    def at(self, step: int, epoch: int) -> float:
        """Return the rate after so many steps and so many whole epochs."""
        return self(step if self.by == "step" else epoch)

    def observe(self, logs: Mapping[str, float]) -> None:  # noqa: B027 - most need not know
        """Take note of what an epoch came to."""


@dataclass
class Constant(Schedule):
    """Stay at one rate.

    Parameters
    ----------
    lr : float
        The rate, above 0.

    Raises
    ------
    TypeError, ValueError
        If a setting is of another kind, or out of its range.

    Examples
    --------
    >>> [Constant(0.1)(count) for count in range(3)]
    [0.1, 0.1, 0.1]
    """

    lr: float

    def __call__(self, count: float) -> float:
        return self.lr


@dataclass
class Step(Schedule):
    """Multiply the rate by ``factor`` after every so many counts: lr factor^floor(count / every).

    Parameters
    ----------
    lr : float
        The first rate, above 0.
    every : int
        Counts at one rate.
    factor : float
        In (0, 1].

    Raises
    ------
    TypeError, ValueError
        If a setting is of another kind, or out of its range.

    Examples
    --------
    >>> [Step(1.0, every=2)(count) for count in range(5)]
    [1.0, 1.0, 0.1, 0.1, 0.010000000000000002]
    """

    lr: float
    every: int
    factor: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        self.every = whole(self.every, "every")
        self.factor = number(self.factor, "factor", "(0, 1]")

    def __call__(self, count: float) -> float:
        return self.lr * self.factor ** (count // self.every)


@dataclass
class MultiStep(Schedule):
    """Multiply the rate by ``factor`` at each milestone.

    Parameters
    ----------
    lr : float
        The first rate, above 0.
    milestones : sequence of int
        Counts from which the next rate holds, in ascending order.
    factor : float
        In (0, 1].

    Raises
    ------
    TypeError, ValueError
        If a setting is of another kind, or out of its range.

    Examples
    --------
    >>> [round(MultiStep(1.0, [2, 3])(count), 3) for count in range(5)]
    [1.0, 1.0, 0.1, 0.01, 0.01]
    """

    lr: float
    milestones: Sequence[int]
    factor: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.milestones, str) or not isinstance(self.milestones, Sequence):
            raise TypeError(f"milestones must be a list of ints, got {self.milestones!r}")
        self.milestones = tuple(whole(m, "milestones", 0) for m in self.milestones)
        if list(self.milestones) != sorted(set(self.milestones)):
            raise ValueError(f"milestones must ascend, got {self.milestones}")
        self.factor = number(self.factor, "factor", "(0, 1]")

    def __call__(self, count: float) -> float:
        return self.lr * self.factor ** bisect_right(self.milestones, count)


@dataclass
class Exponential(Schedule):
    """Multiply the rate by ``factor`` at every count: lr factor^count.

    Parameters
    ----------
    lr : float
        The first rate, above 0.
    factor : float
        In (0, 1].

    Raises
    ------
    TypeError, ValueError
        If a setting is of another kind, or out of its range.

    Examples
    --------
    >>> [Exponential(1.0, 0.5)(count) for count in range(4)]
    [1.0, 0.5, 0.25, 0.125]
    """

    lr: float
    factor: float

    def __post_init__(self) -> None:
        super().__post_init__()
        self.factor = number(self.factor, "factor", "(0, 1]")

    def __call__(self, count: float) -> float:
        return self.lr * self.factor**count


@dataclass
class InverseTime(Schedule):
    """Let the rate fall as lr / (1 + decay count).

    Parameters
    ----------
    lr : float
        The first rate, above 0.
    decay : float
        At least 0: after 1 / decay counts the rate is half.

    Raises
    ------
    TypeError, ValueError
        If a setting is of another kind, or out of its range.

    Examples
    --------
    >>> [InverseTime(1.0, 1.0)(count) for count in range(4)]
    [1.0, 0.5, 0.3333333333333333, 0.25]
    """

    lr: float
    decay: float

    def __post_init__(self) -> None:
        super().__post_init__()
        self.decay = number(self.decay, "decay", "[0, inf)")

    def __call__(self, count: float) -> float:
        return self.lr / (1 + self.decay * count)


@dataclass
class Polynomial(Schedule):
    """Go from ``lr`` to ``end`` as end + (lr - end) (1 - count / total)^power.

    Parameters
    ----------
    lr : float
        The first rate, above 0.
    total : int
        Counts until the end.
    power : float
        Above 0; 1 is a straight line.
    end : float
        The last rate, at least 0.

    Raises
    ------
    TypeError, ValueError
        If a setting is of another kind, or out of its range.

    Examples
    --------
    >>> [Polynomial(1.0, 4)(count) for count in range(6)]
    [1.0, 0.75, 0.5, 0.25, 0.0, 0.0]
    """

    lr: float
    total: int
    power: float = 1.0
    end: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.total = whole(self.total, "total")
        self.power = number(self.power, "power", "(0, inf)")
        self.end = number(self.end, "end", "[0, inf)")

    def __call__(self, count: float) -> float:
        left = 1 - min(count, self.total) / self.total
        return self.end + (self.lr - self.end) * left**self.power


@dataclass
class Cosine(Schedule):
    """Go from ``lr`` to ``end`` along half a cosine.

    Parameters
    ----------
    lr : float
        The first rate, above 0.
    total : int
        Counts until the end.
    end : float
        The last rate, at least 0.

    Raises
    ------
    TypeError, ValueError
        If a setting is of another kind, or out of its range.

    References
    ----------
    Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts", 2017,
    arXiv:1608.03983.

    Examples
    --------
    >>> [round(Cosine(1.0, 4)(count), 3) for count in range(6)]
    [1.0, 0.854, 0.5, 0.146, 0.0, 0.0]
    """

    lr: float
    total: int
    end: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.total = whole(self.total, "total")
        self.end = number(self.end, "end", "[0, inf)")

    def __call__(self, count: float) -> float:
        return half_cosine(self.lr, self.end, min(count, self.total) / self.total)


@dataclass
class CosineRestarts(Schedule):
    """Go down half a cosine, and start again from the top, each time ``longer`` times as long.

    Parameters
    ----------
    lr : float
        The rate at each start, above 0.
    first : int
        Counts of the first way down.
    longer : int
        What the length is multiplied by, at least 1.
    end : float
        The rate at the bottom, at least 0.

    Raises
    ------
    TypeError, ValueError
        If a setting is of another kind, or out of its range.

    References
    ----------
    Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts", 2017,
    arXiv:1608.03983.

    Examples
    --------
    >>> [round(CosineRestarts(1.0, 2, longer=2)(count), 3) for count in range(7)]
    [1.0, 0.5, 1.0, 0.854, 0.5, 0.146, 1.0]
    """

    lr: float
    first: int
    longer: int = 1
    end: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.first, self.longer = whole(self.first, "first"), whole(self.longer, "longer")
        self.end = number(self.end, "end", "[0, inf)")

    def __call__(self, count: float) -> float:
        length = self.first
        if self.longer == 1:
            count %= length
        while count >= length:
            count -= length
            length *= self.longer
        return half_cosine(self.lr, self.end, count / length)


@dataclass
class OneCycle(Schedule):
    """Rise from lr / ``start`` to ``lr``, then fall to lr / (``start`` ``end``), by half cosines.

    Parameters
    ----------
    lr : float
        The highest rate, above 0.
    total : int
        Counts of the whole, at least 2.
    rise : float
        Part of it that goes up, in (0, 1).
    start : float
        How many times the first rate goes into the highest, at least 1.
    end : float
        How many times the last rate goes into the first, at least 1.

    Raises
    ------
    TypeError, ValueError
        If a setting is of another kind, or out of its range.

    Notes
    -----
    The rates of ``torch.optim.lr_scheduler.OneCycleLR``. The momentum stays as it is.

    References
    ----------
    Smith and Topin, "Super-convergence", 2018, arXiv:1708.07120.

    Examples
    --------
    >>> [round(OneCycle(1.0, 5, rise=0.6, start=4, end=2)(count), 3) for count in range(5)]
    [0.25, 0.625, 1.0, 0.562, 0.125]
    """

    lr: float
    total: int
    rise: float = 0.3
    start: float = 25.0
    end: float = 1e4

    def __post_init__(self) -> None:
        super().__post_init__()
        self.total = whole(self.total, "total", 2)
        self.rise = number(self.rise, "rise", "(0, 1)")
        self.start = number(self.start, "start", "[1, inf)")
        self.end = number(self.end, "end", "[1, inf)")

    def __call__(self, count: float) -> float:
        top, last = self.rise * self.total - 1, self.total - 1
        first = self.lr / self.start
        if count < top:
            return half_cosine(first, self.lr, count / top)
        return half_cosine(self.lr, first / self.end, (min(count, last) - top) / (last - top))


@dataclass
class Warmup(Schedule):
    """Rise along a line to the first rate of another schedule, then follow that one.

    Parameters
    ----------
    length : int
        Counts of the rise.
    then : Schedule or float
        What follows. Its own counts begin at the end of the rise, if they are of the same kind; a
        rise by steps may come before a schedule by epochs, which counts on beside it.
    start : float
        First rate, as a part of that at the end, in [0, 1].

    Raises
    ------
    TypeError, ValueError
        If a setting is of another kind, or out of its range; or if a rise by
        epochs comes before a schedule by steps, which could not know its beginning.

    References
    ----------
    Goyal et al., "Accurate, large minibatch SGD", 2017, arXiv:1706.02677.

    Examples
    --------
    >>> [round(Warmup(4, then=0.8, start=0.5)(count), 3) for count in range(6)]
    [0.4, 0.5, 0.6, 0.7, 0.8, 0.8]
    """

    length: int
    then: Schedule | float
    start: float = 0.01

    def __post_init__(self) -> None:
        super().__post_init__()
        self.length = whole(self.length, "length")
        if not isinstance(self.then, Schedule):
            self.then = Constant(number(self.then, "then", "(0, inf)"), by=self.by)
        self.start = number(self.start, "start", "[0, 1]")
        if self.by == "epoch" and self.then.by == "step":
            raise ValueError("Warmup by epoch takes what follows by epoch, got a schedule by step")

    def __call__(self, count: float) -> float:
        assert isinstance(self.then, Schedule)
        if self.then.by != self.by:
            raise ValueError("Warmup by step of a schedule by epoch has no single count: use at()")
        if count >= self.length:
            return self.then(count - self.length)
        return self._rising(self.then(0), count)

    def _rising(self, goal: float, count: float) -> float:
        return goal * (self.start + (1 - self.start) * count / self.length)

    def at(self, step: int, epoch: int) -> float:
        assert isinstance(self.then, Schedule)
        count = step if self.by == "step" else epoch
        if count < self.length:
            return self._rising(self.then.at(0, 0), count)
        if self.by == "step":
            return self.then.at(step - self.length, epoch)
        return self.then.at(step, epoch - self.length)

    def observe(self, logs: Mapping[str, float]) -> None:
        assert isinstance(self.then, Schedule)
        self.then.observe(logs)


@dataclass
class Plateau(Schedule):
    """Multiply the rate by ``factor`` when a metric has not improved for a while.

    Parameters
    ----------
    lr : float
        The first rate, above 0.
    factor : float
        In (0, 1).
    patience : int
        Epochs without improvement that are let pass: the next one makes the rate smaller.
    monitor : str, optional
        Which number of an epoch; by default ``val_loss`` where there is one, else ``loss``.
    mode : {"min", "max"}
        Whether it is better small or large.
    threshold : float
        Improvement that counts, as a part of the best value so far, in [0, 1).
    cooldown : int
        Epochs after a change in which nothing is counted.
    least : float
        The rate does not fall below it; at least 0.
    best, waited, cooling, cuts : float or None, int, int, int
        Where it stands. `observe` moves them; a model's file keeps them.

    Raises
    ------
    TypeError, ValueError
        If a setting is of another kind, or out of its range.

    Notes
    -----
    As ``torch.optim.lr_scheduler.ReduceLROnPlateau``, whose threshold is relative too. NaN is no
    improvement.

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
        self.mode = one_of(self.mode, "mode", ("min", "max"))
        self.threshold = number(self.threshold, "threshold", "[0, 1)")
        self.least = number(self.least, "least", "[0, inf)")
        for name in ("patience", "cooldown", "waited", "cooling", "cuts"):
            setattr(self, name, whole(getattr(self, name), name, 0))

    def __call__(self, count: float) -> float:
        return max(self.lr * self.factor**self.cuts, min(self.lr, self.least))

    def observe(self, logs: Mapping[str, float]) -> None:
        name = self.monitor or ("val_loss" if "val_loss" in logs else "loss")
        if name not in logs:
            raise ValueError(f"Plateau looks at {name!r}, the epoch has {', '.join(logs)}")
        value = float(logs[name])
        sign = 1 if self.mode == "min" else -1
        best = sign * inf if self.best is None else self.best
        margin = 0.0 if self.best is None else self.threshold * abs(best)
        if not isnan(value) and sign * value < sign * best - margin:
            self.best, self.waited = value, 0
        else:
            self.waited += 1
        if self.cooling > 0:
            self.cooling, self.waited = self.cooling - 1, 0
        if self.waited > self.patience:
            self.cuts, self.waited, self.cooling = self.cuts + 1, 0, self.cooldown


def half_cosine(start: float, end: float, part: float) -> float:
    """Return what lies a part of the way from start to end, in [0, 1], slow at both ends."""
    return end + (start - end) * (1 + cos(pi * part)) / 2
