"""Gradients against central differences.

Where they disagree, three things may be the reason. The step is too large or too small: then
another one agrees. The function has a kink, a tie or a jump there, as ReLU at 0: then a gradient
that is right agrees on both sides of it, and changes between them. Or the gradient is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from .._arrays import Array
from .report import ArrayReport, Report

SAMPLES = 100  # entries that are checked of an array that has more
LIMIT = 1e-6  # of `relative`: 1e-7 + 1e-6 of the value
DIFFERENCES = "gradients and central differences"


def check_gradient(
    function: Callable[[Array], float],
    x: Array,
    gradient: Array | Callable[[Array], Array],
    name: str = "x",
    seed: int = 0,
    entries: int = SAMPLES,
) -> Report:
    """Compare a gradient with central differences.

    Parameters
    ----------
    function : callable
        Function of an array like ``x`` that returns one number.
    x : array of float64
        Point at which the gradient is checked. Its entries are changed one by one and restored.
    gradient : array like x, or callable
        The gradient to check, or the function of ``x`` that returns it. With a function, the
        gradient beside a kink is compared too; without, it must lie between the slopes on both
        sides.
    name : str
        Name of the array in messages.
    seed : int
        Seed of the sample of entries.
    entries : int
        Number of entries to check, if there are more: the first, the last and a sample.

    Returns
    -------
    Report
        How many entries were compared, how many lie at kinks, and the worst relative error.

    Raises
    ------
    AssertionError
        If an entry differs, and not because of a kink; the message names array, index and both
        numbers.

    Warns
    -----
    UserWarning
        If most entries lie at kinks.

    Examples
    --------
    >>> x = np.array([1.0, 2.0])
    >>> check_gradient(lambda a: float((a**2).sum()), x, 2 * x).checked
    2
    >>> x = np.array([-1.0, 0.0, 3.0, 4.0])
    >>> check_gradient(lambda a: float(abs(a).sum()), x, np.sign(x)).at_kinks
    1
    """
    if callable(gradient):
        array = compare(function, x, gradient(x), name, seed, entries, gradient)
    else:
        array = compare(function, x, gradient, name, seed, entries)
    return Report(DIFFERENCES, {name: array}).warn("check_gradient")


def compare(
    function: Callable[[Array], float],
    x: Array,
    gradient: Array,
    name: str,
    seed: int,
    entries: int,
    beside: Callable[[Array], Array] | None = None,
    picked: Array | None = None,
) -> ArrayReport:
    """Compare entries of a gradient, by default a sample; ``beside(x)`` is that at other points."""
    assert x.dtype == np.float64, f"{name} must be float64 to be checked, got {x.dtype}"
    assert gradient.shape == x.shape, f"the gradient of {name} has shape {gradient.shape}"
    gradient = gradient.copy()
    if picked is None:
        picked = np.arange(x.size)
        if x.size > entries:
            picked = np.sort(np.random.default_rng(seed).choice(x.size, entries, replace=False))
            picked[0], picked[-1] = 0, x.size - 1  # kernels are wrong at their ends
    worst, at_kinks, middle = 0.0, 0, function(x)
    for i in picked:
        index = tuple(map(int, np.unravel_index(i, x.shape)))
        entry, analytic = Entry(function, x, index, middle, beside), float(gradient[index])
        up, down = entry.value(entry.h), entry.value(-entry.h)
        numeric, bend = (up - down) / (2 * entry.h), (up - 2 * middle + down) / entry.h
        error = relative(analytic, numeric)
        if error <= LIMIT and abs(bend) > 1e-3 * (0.1 + abs(numeric)) and entry.is_even_kink(bend):
            at_kinks += 1  # as abs(x) at 0: the mean of both slopes is the gradient
            continue
        if not error <= LIMIT:
            error = entry.by_other_steps(analytic, numeric)
        if error <= LIMIT:
            worst = max(worst, error)
            continue
        everywhere = "" if gradient.any() else "; all of the gradient is zero"
        assert entry.has_kink(analytic, numeric), (
            f"the gradient of {name} at {index} is {analytic:.9g}, by differences {numeric:.9g}"
            f"{everywhere}"
        )
        at_kinks += 1
    return ArrayReport(x.size, len(picked) - at_kinks, at_kinks, worst)


def relative(a: float, b: float) -> float:
    """Return the difference of two slopes, relative to them where they are not small."""
    return abs(a - b) / (0.1 + max(abs(a), abs(b)))


class Entry:
    """One entry of an array: the function along it."""

    def __init__(
        self,
        function: Callable[[Array], float],
        x: Array,
        index: tuple[int, ...],
        middle: float,
        gradient: Callable[[Array], Array] | None,
    ) -> None:
        self.function, self.x, self.index, self.gradient = function, x, index, gradient
        self.middle = middle  # the function at x
        self.h = 6e-6 * max(1.0, abs(float(x[index])))

    @contextmanager
    def moved(self, by: float) -> Iterator[Array]:
        """Change the entry inside a ``with`` block."""
        before = self.x[self.index]
        self.x[self.index] = before + by
        try:
            yield self.x
        finally:
            self.x[self.index] = before

    def value(self, by: float) -> float:
        """Return the function with the entry moved."""
        with self.moved(by) as x:
            return self.function(x)

    def slope(self, by: float = 0.0, step: float | None = None) -> float:
        """Return the central difference at the moved entry."""
        step = step or self.h
        return (self.value(by + step) - self.value(by - step)) / (2 * step)

    def analytic(self, by: float) -> float:
        """Return the gradient to check at the moved entry."""
        assert self.gradient is not None
        with self.moved(by) as x:
            return float(self.gradient(x)[self.index])

    def by_other_steps(self, analytic: float, numeric: float) -> float:
        """Return the relative error by another step, or inf.

        A larger step is right where rounding errors are as large as the limit, as in sums of
        thousands; smaller ones are near a kink or where the curvature is strong. A wrong gradient
        differs by as much at every step, so the difference must shrink.
        """
        size = max(1.0, abs(self.middle))
        for step in (16 * self.h, self.h / 8, self.h / 64):
            other = self.slope(step=step)
            allowed = LIMIT
            if step < self.h:  # for the rounding errors of a small step
                allowed += 8 * np.finfo(np.float64).eps * size / step
            shrinks = 4 * abs(analytic - other) < abs(analytic - numeric)
            if shrinks and relative(analytic, other) <= allowed:
                return min(LIMIT, relative(analytic, other))
        return float("inf")

    def is_even_kink(self, bend: float) -> bool:
        """Return whether the slopes on both sides differ as much with a smaller step."""
        step = self.h / 8
        finer = (self.value(step) - 2 * self.middle + self.value(-step)) / step
        return abs(8 * finer - bend) / 7 > abs(bend) / 2

    def has_kink(self, analytic: float, numeric: float) -> bool:
        """Return whether the function has a kink or jump at the entry, and that explains it."""
        if self.gradient is None:
            return self._bends(analytic)
        gap = abs(analytic - numeric)
        for near in (4 * self.h, 16 * self.h, 64 * self.h):
            sides = [self.analytic(-near), self.analytic(near)]
            if all(self._agrees(by, side) for by, side in zip((-near, near), sides, strict=True)):
                far = [self.analytic(-4 * near), self.analytic(4 * near)]
                # what remains of the change between both sides at distance 0: no curvature
                change = (4 * (sides[1] - sides[0]) - (far[1] - far[0])) / 3
                jump = abs(self.slope(step=self.h / 8)) > 4 * abs(numeric)
                return jump or abs(change) > 1e-3 * gap
        return False

    def _agrees(self, by: float, analytic: float) -> bool:
        """Return whether a gradient beside the entry is right."""
        steps = (self.h, self.h / 8, abs(by) / 2)  # none reaches over the entry itself
        return any(relative(analytic, self.slope(by, step)) <= LIMIT for step in steps)

    def _bends(self, analytic: float) -> bool:
        """Return whether the slopes on both sides differ at any step, and enclose the gradient."""
        left, right = [], []
        for step in (self.h, self.h / 8):
            right.append((self.value(step) - self.middle) / step)
            left.append((self.middle - self.value(-step)) / step)
        # at distance 0: the slopes without the curvature
        ends = sorted((8 * side[1] - side[0]) / 7 for side in (left, right))
        room = 1e-6 * (0.1 + max(map(abs, ends)))
        return ends[1] - ends[0] > room and ends[0] - room <= analytic <= ends[1] + room
