"""Schedule, the base class of learning rate schedules."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import ClassVar

from .._check import number, one_of
from .._elsewhere import SCHEDULE_WAYS
from .._settings import ExplainedSettings

MOVES = {"moves": True}  # marks a field that training changes; a resumed run restores it


@dataclass
class Schedule(ExplainedSettings):
    """Base class of schedules: a learning rate as a function of steps or epochs.

    **Extension points.** A schedule is a dataclass whose fields are its settings. It defines:

    ``__call__(count)``
        Return the rate, a float above 0, after ``count`` steps or epochs, counted from 0. It must
        not change the schedule.
    ``observe(logs)``
        Receive the logs of an epoch, numbers by name; change fields that are marked by
        ``metadata=MOVES``, which a resumed run restores. Default: nothing.
    ``check_logs(names)``
        Raise ValueError if `observe` needs a number that the logs will not have. It is asked before
        the first step, where that is possible. Default: nothing.

    Parameters
    ----------
    by : {"step", "epoch"}
        Unit of the count.

    Examples
    --------
    >>> from deepfs.schedules import Step, Warmup
    >>> schedule = Warmup(2, then=Step(0.8, every=3, factor=0.5))
    >>> [round(schedule(step), 3) for step in range(9)]
    [0.008, 0.404, 0.8, 0.8, 0.8, 0.4, 0.4, 0.4, 0.2]
    """

    by: str = field(default="step", kw_only=True)

    _instead: ClassVar = SCHEDULE_WAYS

    def __post_init__(self) -> None:
        self.by = one_of(self.by, "by", ("step", "epoch"))
        if "lr" in vars(self):
            vars(self)["lr"] = number(vars(self)["lr"], "lr", "(0, inf)")

    @abstractmethod
    def __call__(self, count: float) -> float:
        """Return the rate after ``count`` steps, or epochs."""

    def at(self, step: int, epoch: int) -> float:
        """Return the rate after ``step`` steps and ``epoch`` whole epochs."""
        return self(step if self.by == "step" else epoch)

    def observe(self, logs: Mapping[str, float]) -> None:
        """Receive the logs of an epoch; for schedules that depend on them, such as `Plateau`."""

    def check_logs(self, names: Iterable[str]) -> None:
        """Raise ValueError if `observe` needs a number that is not among the names of the logs."""

    @property
    def counts_epochs(self) -> bool:
        """True if the rate changes only, or also, at the end of an epoch."""
        return self.by == "epoch" or type(self).observe is not Schedule.observe


def restart_for(schedule: Schedule, user: object) -> None:
    """Let what training has moved begin anew if somebody else used the schedule before."""
    known = vars(schedule).get("_user", user)
    vars(schedule)["_user"] = user
    for setting in fields(schedule):
        if setting.metadata == MOVES and known is not user:
            vars(schedule)[setting.name] = setting.default
        elif isinstance(getattr(schedule, setting.name), Schedule):
            restart_for(getattr(schedule, setting.name), user)
