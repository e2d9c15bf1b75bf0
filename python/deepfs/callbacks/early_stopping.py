"""Stop when a number has stopped improving, and restore the best weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from .._arrays import Array
from .._check import flag, number, one_of, whole
from ._base import Callback
from ._monitor import MODES, check_monitor, is_better, monitor_name, sign_of

WEIGHTS = "best/"  # what names of weights begin with in the state


@dataclass(eq=False)
class EarlyStopping(Callback):
    """Stop the training when a number has stopped improving; restore the best weights.

    Parameters
    ----------
    monitor : str
        Name of a number in the logs of an epoch, such as ``val_loss``.
    min_delta : float
        Least change that counts as an improvement, at least 0.
    patience : int
        Number of epochs without improvement after which the training stops; 0 stops like 1, after
        the first.
    mode : {"auto", "min", "max"}
        Whether smaller or larger values are better. "auto" knows losses, errors, accuracies and the
        other metrics of deepfs by their names.
    baseline : float, optional
        Only an improvement on this value ends the wait.
    restore_best_weights : bool
        At the end of the training, set parameters and buffers to those after the epoch with the
        best value. True here; **False is the default of Keras**. The state of the optimizer stays
        that of the last step.
    start_from_epoch : int
        Number of epochs before the first one that is looked at.

    Attributes
    ----------
    best, best_epoch : float or None, int or None
        The best value so far and its epoch, counted from 0; None before there is one.
    wait : int
        Epochs without improvement.
    stopped_epoch : int or None
        The epoch after which the training was stopped; None if it was not.

    Raises
    ------
    TypeError, ValueError
        If a setting is of the wrong kind or out of range. Before the first step, if no number has
        the name ``monitor``, or if "auto" cannot tell.

    Notes
    -----
    The rule is that of Keras. NaN is not an improvement. The weights are restored whenever `fit`
    ends without an error, also after the last epoch and after Ctrl-C. A checkpoint of `fit` has
    the last weights and, in the state of this callback, the best: a resumed run goes on from the
    last. Each `fit` starts anew.

    References
    ----------
    ``keras.callbacks.EarlyStopping``; Prechelt, "Early stopping - but when?", 1998.

    Examples
    --------
    >>> import deepfs as dfs
    >>> model = dfs.Model(dfs.layers.Dense(2), dfs.losses.CrossEntropy(), dfs.optimizers.SGD(1e-9))
    >>> x, y, stop = np.eye(4), np.array([0, 1, 0, 1]), EarlyStopping(min_delta=0.1, patience=2)
    >>> history = model.fit(x, y, epochs=9, validation_data=(x, y), verbose=0, callbacks=[stop])
    >>> len(history["loss"]), stop.best_epoch, stop.stopped_epoch
    (3, 0, 2)
    """

    monitor: str = "val_loss"
    min_delta: float = 0.0
    patience: int = 0
    mode: str = "auto"
    baseline: float | None = None
    restore_best_weights: bool = True
    start_from_epoch: int = 0

    best: float | None = field(default=None, init=False, repr=False)
    best_epoch: int | None = field(default=None, init=False, repr=False)
    wait: int = field(default=0, init=False, repr=False)
    stopped_epoch: int | None = field(default=None, init=False, repr=False)

    _left_out: ClassVar = True
    _keeps_weights: ClassVar = True
    _weights: dict[str, Array] | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        who = type(self).__name__
        self.monitor = monitor_name(self.monitor, who)
        self.min_delta = number(self.min_delta, "min_delta", "[0, inf)")
        self.patience = whole(self.patience, "patience", 0)
        self.mode = one_of(self.mode, "mode", MODES)
        if self.baseline is not None:
            self.baseline = number(self.baseline, "baseline", "(-inf, inf)")
        self.restore_best_weights = flag(self.restore_best_weights, "restore_best_weights")
        self.start_from_epoch = whole(self.start_from_epoch, "start_from_epoch", 0)

    def check_logs(self, names: Sequence[str]) -> None:
        check_monitor(type(self).__name__, self.monitor, self.mode, names)

    def on_train_begin(self, logs: dict[str, float]) -> None:
        self.best, self.best_epoch, self.wait, self.stopped_epoch = None, None, 0, None
        self._weights = None

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        self.check_logs([*logs])
        if epoch < self.start_from_epoch:
            return
        value, sign = float(logs[self.monitor]), sign_of(self.monitor, self.mode, "")
        self.wait += 1
        if is_better(value, self.best, sign, self.min_delta):
            self.best, self.best_epoch = value, epoch
            if self.restore_best_weights:
                self._weights = self.model.network.get_weights()
            if is_better(value, self.baseline, sign, self.min_delta):
                self.wait = 0
        elif self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: dict[str, float]) -> None:
        if self.restore_best_weights and self._weights is not None:
            try:
                self.model.network.set_weights(self._weights)
            except ValueError as error:
                raise RuntimeError(
                    "EarlyStopping cannot restore the best weights, because the network has other "
                    "arrays than in that epoch: give restore_best_weights=False"
                ) from error

    def state(self) -> dict[str, Any]:
        state: dict[str, Any] = {
            "best": self.best,
            "best_epoch": self.best_epoch,
            "wait": self.wait,
            "stopped_epoch": self.stopped_epoch,
        }
        return state | {f"{WEIGHTS}{name}": a for name, a in (self._weights or {}).items()}

    def load_state(self, state: Mapping[str, Any]) -> None:
        self.best, self.best_epoch = state["best"], state["best_epoch"]
        self.wait, self.stopped_epoch = state["wait"], state["stopped_epoch"]
        names = [name for name in state if name.startswith(WEIGHTS)]
        self._weights = {name.removeprefix(WEIGHTS): state[name] for name in names} or None
