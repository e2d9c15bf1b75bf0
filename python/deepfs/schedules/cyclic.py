"""Cosine annealing, with and without restarts, and one-cycle."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, pi
from typing import ClassVar

from .._check import number, whole
from ._base import Schedule, WithTotal


@dataclass
class Cosine(WithTotal):
    """Cosine annealing schedule: from ``lr`` to ``end`` along half a cosine.

    Parameters
    ----------
    lr : float
        The first rate, above 0.
    total : int, optional
        Steps (or epochs, see `Schedule`) until the end. By default those of each `fit`.
    end : float
        The last rate, at least 0.

    Raises
    ------
    TypeError, ValueError
        If a setting is of the wrong kind or out of range.

    References
    ----------
    Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts", 2017,
    arXiv:1608.03983.

    Examples
    --------
    >>> [round(Cosine(1.0, 4)(count), 3) for count in range(6)]
    [1.0, 0.854, 0.5, 0.146, 0.0, 0.0]
    """

    end: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.end = number(self.end, "end", "[0, inf)")

    def __call__(self, count: float) -> float:
        total = self._end()
        return half_cosine(self.lr, self.end, min(count, total) / total)


@dataclass
class CosineRestarts(Schedule):
    """Cosine annealing schedule with warm restarts (SGDR).

    Parameters
    ----------
    lr : float
        The rate at each start, above 0.
    first : int
        Steps (or epochs) of the first cycle.
    longer : int
        Length of a cycle divided by that of the cycle before, at least 1.
    end : float
        The rate that a cycle approaches, at least 0.

    Raises
    ------
    TypeError, ValueError
        If a setting is of the wrong kind or out of range.

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
class OneCycle(WithTotal):
    """One-cycle schedule: rise from lr / start to lr, then fall to lr / (start end).

    Parameters
    ----------
    lr : float
        The highest rate, above 0.
    total : int, optional
        Steps (or epochs) of the whole cycle, at least 2. By default those of each `fit`.
    rise : float
        Part of the cycle in which the rate rises, in (0, 1).
    start : float
        The highest rate divided by the first, at least 1.
    end : float
        The first rate divided by the last, at least 1.

    Raises
    ------
    TypeError, ValueError
        If a setting is of the wrong kind or out of range.

    Notes
    -----
    Rise and fall are half cosines, as in ``torch.optim.lr_scheduler.OneCycleLR``. The momentum does
    not change.

    References
    ----------
    Smith and Topin, "Super-convergence", 2018, arXiv:1708.07120.

    Examples
    --------
    >>> [round(OneCycle(1.0, 5, rise=0.6, start=4, end=2)(count), 3) for count in range(5)]
    [0.25, 0.625, 1.0, 0.562, 0.125]
    """

    rise: float = 0.3
    start: float = 25.0
    end: float = 1e4

    _least: ClassVar = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        self.rise = number(self.rise, "rise", "(0, 1)")
        self.start = number(self.start, "start", "[1, inf)")
        self.end = number(self.end, "end", "[1, inf)")

    def __call__(self, count: float) -> float:
        total = self._end()
        top, last = self.rise * total - 1, total - 1
        first = self.lr / self.start
        if count < top:
            return half_cosine(first, self.lr, count / top)
        return half_cosine(self.lr, first / self.end, (min(count, last) - top) / (last - top))


def half_cosine(start: float, end: float, part: float) -> float:
    """Return the value at ``part`` of the way, in [0, 1], from start to end along half a cosine."""
    return end + (start - end) * (1 + cos(pi * part)) / 2
