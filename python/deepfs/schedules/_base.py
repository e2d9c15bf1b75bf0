"""Schedule, the base class of learning rate schedules."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import ClassVar

from .._check import number, one_of, whole
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
    _began: ClassVar[tuple[int, int]] = (0, 0)  # steps and epochs before the `fit` of its total

    def __post_init__(self) -> None:
        self.by = one_of(self.by, "by", ("step", "epoch"))
        if "lr" in vars(self):
            vars(self)["lr"] = number(vars(self)["lr"], "lr", "(0, inf)")

    @abstractmethod
    def __call__(self, count: float) -> float:
        """Return the rate after ``count`` steps, or epochs."""

    def at(self, step: int, epoch: int) -> float:
        """Return the rate after ``step`` steps and ``epoch`` whole epochs."""
        before = self._began
        return self(step - before[0] if self.by == "step" else epoch - before[1])

    def observe(self, logs: Mapping[str, float]) -> None:
        """Receive the logs of an epoch; for schedules that depend on them, such as `Plateau`."""

    def check_logs(self, names: Iterable[str]) -> None:
        """Raise ValueError if `observe` needs a number that is not among the names of the logs."""

    def _parts(self) -> list[Schedule]:
        """Return the schedules among the settings."""
        return [part for setting in fields(self)
                if isinstance(part := getattr(self, setting.name), Schedule)]  # fmt: skip

    def _lacks_total(self) -> bool:
        """Return whether this schedule, or one in it, takes its length from `fit`."""
        return any(part._lacks_total() for part in self._parts())

    def _take_total(self, steps: int | None, epochs: int) -> None:
        """Take the length from a `fit` of so many steps, if that is known, and epochs."""
        for part in self._parts():
            part._take_total(steps, epochs)

    def _begin(self, steps: int | None, epochs: int, began: tuple[int, int]) -> None:
        """Take the length from a `fit` that began after so many steps and epochs.

        Raises
        ------
        ValueError
            If that is too short, or not known.
        """
        self._take_total(steps, epochs)
        vars(self)["_began"] = began

    @property
    def counts_epochs(self) -> bool:
        """True if the rate changes only, or also, at the end of an epoch."""
        return self.by == "epoch" or type(self).observe is not Schedule.observe


@dataclass
class WithTotal(Schedule):
    """Base of schedules with an end, which `fit` knows where it is not given.

    Then each `fit` goes through the whole schedule.
    """

    lr: float
    total: int | None = None

    _least: ClassVar[int] = 1  # steps or epochs that it needs

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.total is not None:
            self.total = whole(self.total, "total", self._least)

    def _end(self) -> int:
        """Return ``total``, or what `fit` has given instead."""
        if self.total is not None:
            return self.total
        total: int | None = vars(self).get("_total")
        if total is None:
            raise ValueError(
                f"{type(self).__name__} needs total, the number of {self.by}s until its end, got "
                "None: give it, or train by fit, which knows it"
            )
        return total

    def _lacks_total(self) -> bool:
        return self.total is None

    def _take_total(self, steps: int | None, epochs: int) -> None:
        if self.total is not None:
            return
        who, total = type(self).__name__, steps if self.by == "step" else epochs
        if total is None:
            raise ValueError(
                f"{who} takes its total from fit, which does not know the number of batches of an "
                f"iterable: give steps_per_epoch, or {who}(total=)"
            )
        if total < self._least:
            raise ValueError(
                f"{who} needs a total of at least {self._least} {self.by}s, got {total} from fit: "
                f"give more epochs, or {who}(total=)"
            )
        vars(self)["_total"] = total


def restart_for(schedule: Schedule, user: object) -> None:
    """Let what training has moved begin anew if somebody else used the schedule before."""
    known = vars(schedule).get("_user", user)
    vars(schedule)["_user"] = user
    vars(schedule).pop("_began", None)
    if known is not user:
        vars(schedule).pop("_total", None)
    for setting in fields(schedule):
        if setting.metadata == MOVES and known is not user:
            vars(schedule)[setting.name] = setting.default
        elif isinstance(getattr(schedule, setting.name), Schedule):
            restart_for(getattr(schedule, setting.name), user)
