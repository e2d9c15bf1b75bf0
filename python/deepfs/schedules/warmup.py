"""Learning rate warm-up."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from .._check import number, whole
from ._base import Schedule
from .decay import Constant
from .function import from_function


@dataclass
class Warmup(Schedule):
    """Linear warm-up: rise to the first rate of another schedule, then follow that schedule.

    Parameters
    ----------
    length : int
        Steps (or epochs, see `Schedule`) of the rise.
    then : Schedule, float or function
        The schedule that follows; a function as in `Function`. If it takes its total from `fit`,
        that is what the rise leaves. If it counts the same unit, its
        count starts at the end of the rise; a schedule by epochs after a warm-up by steps counts
        from the first epoch.
    start : float
        First rate divided by the rate at the end of the rise, in [0, 1].

    Raises
    ------
    TypeError, ValueError
        If a setting is of the wrong kind or out of range; or if a warm-up by epochs is followed by
        a schedule by steps, whose first step is not known in advance.

    References
    ----------
    Goyal et al., "Accurate, large minibatch SGD", 2017, arXiv:1706.02677.

    Examples
    --------
    >>> [round(Warmup(4, then=0.8, start=0.5)(count), 3) for count in range(6)]
    [0.4, 0.5, 0.6, 0.7, 0.8, 0.8]
    """

    length: int
    then: Schedule | float | Callable[[int], float]
    start: float = 0.01

    def __post_init__(self) -> None:
        super().__post_init__()
        self.length = whole(self.length, "length")
        self.then = from_function(self.then, "then")
        if not isinstance(self.then, Schedule):
            self.then = Constant(number(self.then, "then", "(0, inf)"), by=self.by)
        elif isinstance(self.then, Constant) and self.then.by != self.by:  # it counts nothing
            self.then = Constant(self.then.lr, by=self.by)
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
        step, epoch = step - self._began[0], epoch - self._began[1]
        count = step if self.by == "step" else epoch
        if count < self.length:
            return self._rising(self.then.at(0, 0), count)
        if self.by == "step":
            return self.then.at(step - self.length, epoch)
        return self.then.at(step, epoch - self.length)

    def _take_total(self, steps: int | None, epochs: int) -> None:
        if self.by == "epoch":
            epochs -= self.length
        elif steps is not None:
            steps -= self.length
        super()._take_total(steps, epochs)

    def observe(self, logs: Mapping[str, float]) -> None:
        assert isinstance(self.then, Schedule)
        self.then.observe(logs)

    def check_logs(self, names: Iterable[str]) -> None:
        assert isinstance(self.then, Schedule)
        self.then.check_logs(names)

    @property
    def counts_epochs(self) -> bool:
        assert isinstance(self.then, Schedule)
        return self.by == "epoch" or self.then.counts_epochs
