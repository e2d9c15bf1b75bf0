"""What a schedule is."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field

from .._check import number, one_of
from .._settings import ExplainedSettings

MOVES = {"moves": True}  # of a field that training changes; a resumed run restores it


@dataclass
class Schedule(ExplainedSettings):
    """A learning rate as a function of steps or epochs. Write one with `__call__`.

    Parameters
    ----------
    by : {"step", "epoch"}
        What is counted.

    Examples
    --------
    >>> from deepfs.schedules import Step, Warmup
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

    def observe(self, logs: Mapping[str, float]) -> None:
        """Take note of what an epoch came to."""
