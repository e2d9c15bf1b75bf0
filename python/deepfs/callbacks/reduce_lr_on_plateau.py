"""Reduce the learning rate when a number stops improving."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from .._check import number, one_of, whole
from ..schedules import Plateau
from ._base import Callback
from ._monitor import MODES, check_monitor, monitor_name, sign_of

COUNTS = ("best", "waited", "cooling", "cuts")  # what `Plateau` counts


class ByDifference(Plateau):
    """`deepfs.schedules.Plateau` with a threshold that is a difference, as in Keras."""

    _difference: ClassVar = 0.0

    def _margin(self, best: float) -> float:
        return float(self._difference)


@dataclass(eq=False)
class ReduceLROnPlateau(Callback):
    """Multiply the learning rate by ``factor`` when a number has stopped improving.

    The schedule `deepfs.schedules.Plateau` does the same without a callback, by the rule of
    PyTorch. The logs of an epoch get ``lr``, its rate.

    Parameters
    ----------
    monitor : str
        Name of a number in the logs of an epoch, such as ``val_loss``.
    factor : float
        Factor of each change, in (0, 1).
    patience : int
        Number of epochs without improvement after which the rate changes; 0 is like 1.
    mode : {"auto", "min", "max"}
        Whether smaller or larger values are better; "auto" as in `EarlyStopping`.
    min_delta : float
        Least change of the number that counts as an improvement, at least 0: a difference, while
        ``threshold`` of `deepfs.schedules.Plateau` is a part of the best value.
    cooldown : int
        Epochs after a change until waiting begins anew.
    min_lr : float
        Lower bound of the rate, at least 0.

    Raises
    ------
    TypeError, ValueError
        If a setting is of the wrong kind or out of range. Before the first step, if no number has
        the name ``monitor``, if "auto" cannot tell, if the optimizer has a schedule, or if another
        callback sets the rate.

    Notes
    -----
    The rule is that of Keras. `deepfs.schedules.Plateau` and PyTorch count one epoch more:
    ``patience=p, cooldown=c`` here is ``patience=p-1, cooldown=c-1`` there, and then the rates have
    the same bits: the first rate times a power of ``factor``. Each `fit` starts anew, from the rate
    that the optimizer has then.

    References
    ----------
    ``keras.callbacks.ReduceLROnPlateau``.

    Examples
    --------
    >>> import deepfs as dfs
    >>> model = dfs.Model(dfs.layers.Dense(2), dfs.losses.CrossEntropy(), dfs.optimizers.SGD(1e-9))
    >>> reduce = ReduceLROnPlateau("loss", factor=0.5, patience=2, min_delta=0.1)
    >>> history = model.fit(np.eye(4), np.array([0, 1, 0, 1]), epochs=6, verbose=0,
    ...                     callbacks=[reduce])
    >>> history["lr"]
    [1e-09, 1e-09, 1e-09, 5e-10, 5e-10, 2.5e-10]
    """

    monitor: str = "val_loss"
    factor: float = 0.1
    patience: int = 10
    mode: str = "auto"
    min_delta: float = 1e-4
    cooldown: int = 0
    min_lr: float = 0.0

    _sets_rate: ClassVar = True
    _adds: ClassVar = ("lr",)
    _plateau: Any = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        who = type(self).__name__
        self.monitor = monitor_name(self.monitor, who)
        self.factor = number(self.factor, "factor", "(0, 1)")
        self.patience = whole(self.patience, "patience", 0)
        self.mode = one_of(self.mode, "mode", MODES)
        self.min_delta = number(self.min_delta, "min_delta", "[0, inf)")
        self.cooldown = whole(self.cooldown, "cooldown", 0)
        self.min_lr = number(self.min_lr, "min_lr", "[0, inf)")

    def check_logs(self, names: Sequence[str]) -> None:
        check_monitor(type(self).__name__, self.monitor, self.mode, names)

    def on_train_begin(self, logs: dict[str, float]) -> None:
        self._plateau = self._counting(float(self.model.optimizer.lr))  # type: ignore[arg-type]

    def _counting(self, lr: float, counts: Mapping[str, Any] | None = None) -> ByDifference:
        """Return a `Plateau` with the settings of this callback and what was counted so far."""
        mode = "min" if sign_of(self.monitor, self.mode, "") == 1 else "max"
        made = ByDifference(
            lr, self.factor, max(self.patience - 1, 0), self.monitor, mode,
            cooldown=max(self.cooldown - 1, 0), least=self.min_lr, **(counts or {}),
        )  # fmt: skip
        vars(made)["_difference"] = self.min_delta
        return made

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        self.check_logs([*logs])
        optimizer = self.model.optimizer
        lr = float(optimizer.lr)  # type: ignore[arg-type]
        counts = {name: getattr(self._plateau, name) for name in COUNTS}
        if lr != self._plateau(0):  # somebody else has set it: it counts from there
            counts["cuts"] = 0
        first = self._plateau.lr if counts["cuts"] else lr
        self._plateau = self._counting(first, counts)
        self._plateau.observe(logs)
        logs["lr"] = lr
        if self._plateau(0) != lr:
            optimizer.lr = self._plateau(0)

    def state(self) -> dict[str, Any]:
        counts = {name: getattr(self._plateau, name) for name in COUNTS}
        return counts | {"lr": self._plateau.lr}

    def load_state(self, state: Mapping[str, Any]) -> None:
        self._plateau = self._counting(state["lr"], {name: state[name] for name in COUNTS})
