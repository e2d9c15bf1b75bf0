"""Name a loss that explodes without becoming NaN."""

from __future__ import annotations

from math import inf

from .._warn import warn
from ..trainer import Trainer

FACTOR = 1e3  # times the first loss of a run; batches differ by less


class Explosion:
    """Warn once in a run of a loss that has grown beyond all measure.

    ``limit`` is the loss that is to be shown to `see`: any at first, none after the warning. The
    loss of the first step is the measure, and for losses of classes at least 1, because a trained
    network has batches without a mistake.
    """

    def __init__(self) -> None:
        self.limit, self.first = -inf, 0.0

    def see(self, loss: float, trainer: Trainer) -> None:
        """Take the measure, or warn of a loss above the limit."""
        if self.limit == -inf:
            of_classes = trainer.loss.output_kind.metrics
            self.first = max(abs(loss), 1.0) if of_classes else abs(loss)
            self.limit = FACTOR * self.first if self.first else inf
            return
        times = loss / self.first
        self.limit = inf
        rate = trainer.optimizer.rate(max(trainer.steps - trainer.state_since, 1), trainer.epochs)
        warn(
            f"the loss of step {trainer.steps} is {loss:.3g}, {times:.2g} times that at the start: "
            f"the training diverges. The learning rate {rate:.3g} is probably too large (model."
            "lr_find suggests one), or inputs or targets are not scaled; clip_norm=1 of the "
            "optimizer limits single steps",
            RuntimeWarning,
        )
