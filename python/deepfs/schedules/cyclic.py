"""Rates along a cosine, once or again and again."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, pi

from .._check import number, whole
from ._base import Schedule


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


def half_cosine(start: float, end: float, part: float) -> float:
    """Return what lies a part of the way from start to end, in [0, 1], slow at both ends."""
    return end + (start - end) * (1 + cos(pi * part)) / 2
