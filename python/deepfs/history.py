"""Numbers of a training run: their means over an epoch, and the epochs one after the other."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class History:
    """What `Model.fit` measured, a number per epoch.

    Attributes
    ----------
    history : dict of list of float
        ``loss`` and metrics over the epoch as it was trained; with validation data also
        ``val_loss`` and so on. (Keras has the same.) The last entries of an interrupted run are
        those of the part of the epoch that was done.
    interrupted : bool
        Whether Ctrl-C ended the run.
    """

    history: dict[str, list[float]] = field(default_factory=dict)
    interrupted: bool = False

    def add(self, logs: dict[str, float]) -> None:
        """Append the numbers of an epoch."""
        for name, value in logs.items():
            self.history.setdefault(name, []).append(value)

    def __getitem__(self, name: str) -> list[float]:
        return self.history[name]


class Mean:
    """Running means of named numbers, weighted by samples."""

    def __init__(self) -> None:
        self.totals: dict[str, float] = {}
        self.samples = 0

    def add(self, logs: dict[str, float], samples: int) -> None:
        """Take in the means over ``samples`` more."""
        for name, value in logs.items():
            self.totals[name] = self.totals.get(name, 0.0) + value * samples
        self.samples += samples

    def values(self) -> dict[str, float]:
        """Return the means so far."""
        return {name: total / max(self.samples, 1) for name, total in self.totals.items()}
