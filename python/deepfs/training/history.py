"""What a training run measured, epoch by epoch."""

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
