"""Constant, step, exponential, inverse-time and polynomial schedules."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from .._check import number, whole
from ._base import Schedule, WithTotal


@dataclass
class Constant(Schedule):
    """Constant learning rate.

    Parameters
    ----------
    lr : float
        The rate, above 0.

    Raises
    ------
    TypeError, ValueError
        If a setting is of the wrong kind or out of range.

    Examples
    --------
    >>> [Constant(0.1)(count) for count in range(3)]
    [0.1, 0.1, 0.1]
    """

    lr: float

    counts_epochs = False  # it counts nothing

    def __call__(self, count: float) -> float:
        return self.lr


@dataclass
class Step(Schedule):
    """Step decay schedule: lr factor^floor(count / every).

    Parameters
    ----------
    lr : float
        The first rate, above 0.
    every : int
        Steps (or epochs, see `Schedule`) from one change to the next.
    factor : float
        Factor of each change, in (0, 1].

    Raises
    ------
    TypeError, ValueError
        If a setting is of the wrong kind or out of range.

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
    """Multi-step decay schedule: multiply the rate by ``factor`` at each milestone.

    Parameters
    ----------
    lr : float
        The first rate, above 0.
    milestones : sequence of int
        Steps (or epochs) at which the rate changes, in ascending order.
    factor : float
        Factor of each change, in (0, 1].

    Raises
    ------
    TypeError, ValueError
        If a setting is of the wrong kind or out of range.

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
    """Exponential decay schedule: lr factor^count.

    Parameters
    ----------
    lr : float
        The first rate, above 0.
    factor : float
        Factor per step (or epoch), in (0, 1].

    Raises
    ------
    TypeError, ValueError
        If a setting is of the wrong kind or out of range.

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
    """Inverse time decay schedule: lr / (1 + decay count).

    Parameters
    ----------
    lr : float
        The first rate, above 0.
    decay : float
        At least 0: after 1 / decay steps (or epochs) the rate is lr / 2.

    Raises
    ------
    TypeError, ValueError
        If a setting is of the wrong kind or out of range.

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
class Polynomial(WithTotal):
    """Polynomial (or linear) decay schedule: end + (lr - end) (1 - count / total)^power.

    Parameters
    ----------
    lr : float
        The first rate, above 0.
    total : int, optional
        Steps (or epochs) until the end. By default those of each `fit`.
    power : float
        Exponent, above 0; 1 is a straight line.
    end : float
        The last rate, at least 0.

    Raises
    ------
    TypeError, ValueError
        If a setting is of the wrong kind or out of range.

    Examples
    --------
    >>> [Polynomial(1.0, 4)(count) for count in range(6)]
    [1.0, 0.75, 0.5, 0.25, 0.0, 0.0]
    """

    power: float = 1.0
    end: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.power = number(self.power, "power", "(0, inf)")
        self.end = number(self.end, "end", "[0, inf)")

    def __call__(self, count: float) -> float:
        total = self._end()
        left = 1 - min(count, total) / total
        return self.end + (self.lr - self.end) * left**self.power
