"""Set the learning rate of each epoch by a function."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from .._check import number, shown
from ._base import Callback


@dataclass(eq=False)
class LearningRateScheduler(Callback):
    """Set the learning rate before each epoch to what a function returns.

    A schedule of the optimizer (`deepfs.schedules`) does the same without a callback, also by
    steps. The logs of an epoch get ``lr``, its rate.

    Parameters
    ----------
    schedule : function
        ``schedule(epoch, lr) -> lr`` or ``schedule(epoch) -> lr``: the number of the epoch, from 0,
        and the rate so far, to the rate of the epoch, above 0.

    Raises
    ------
    TypeError, ValueError
        If it is not such a function, or returns no such number. Before the first step, if the
        optimizer has a schedule, or another callback sets the rate.

    References
    ----------
    ``keras.callbacks.LearningRateScheduler``. Keras calls the number ``learning_rate`` in the logs.

    Examples
    --------
    >>> import deepfs as dfs
    >>> model = dfs.Model(dfs.layers.Dense(2), dfs.losses.CrossEntropy(), dfs.optimizers.SGD(0.8))
    >>> halve = LearningRateScheduler(lambda epoch, lr: lr / 2 if epoch else lr)
    >>> history = model.fit(np.eye(4), np.array([0, 1, 0, 1]), epochs=3, verbose=0,
    ...                     callbacks=[halve])
    >>> history["lr"]
    [0.8, 0.4, 0.2]
    """

    schedule: Callable[..., float]

    _sets_rate: ClassVar = True
    _adds: ClassVar = ("lr",)

    def __post_init__(self) -> None:
        self._arguments_of(self.schedule)

    @staticmethod
    def _arguments_of(schedule: Any) -> int:
        """Return how many numbers the function takes, 1 or 2."""
        if not callable(schedule) or isinstance(schedule, type):
            raise TypeError(f"schedule must be a function (epoch, lr) -> lr, got {shown(schedule)}")
        try:
            signature = inspect.signature(schedule)
        except (TypeError, ValueError):  # of a function in C, it is not always known
            return 2
        for count in (2, 1):
            try:
                signature.bind(*range(count))
            except TypeError:
                continue
            return count
        raise TypeError(f"schedule must be a function (epoch, lr) -> lr, got one of {signature}")

    def on_epoch_begin(self, epoch: int, logs: dict[str, float]) -> None:
        optimizer = self.model.optimizer
        given = (epoch, optimizer.lr)[: self._arguments_of(self.schedule)]
        optimizer.lr = number(self.schedule(*given), f"the learning rate of epoch {epoch}",
                              "(0, inf)")  # fmt: skip

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        logs["lr"] = float(self.model.optimizer.lr)  # type: ignore[arg-type]
