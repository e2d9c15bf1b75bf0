"""The callbacks of a run: what is checked before the first step, and how their hooks are called."""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np

from .._arrays import Array
from .._fields import is_built_in
from .._names import hint, meant
from .._warn import warn
from ..callbacks import Callback, LambdaCallback, TerminateOnNaN
from ..callbacks.averaging import WeightAverage
from ..optimizers import Optimizer
from ..saving.tensors import TensorFile
from ..schedules import Schedule

# The hooks, and by what `fit` calls them.
ARGUMENTS = {
    name: tuple(inspect.signature(getattr(Callback, name)).parameters)[1:]
    for name in vars(Callback)
    if name.startswith("on_")
}
NOT_CALLED = "fit does not call it"
# Hooks of Keras, Lightning, fastai and skorch that are other ones here, or none.
ELSEWHERE = {
    "on_batch_begin": "on_train_batch_begin",
    "on_batch_end": "on_train_batch_end",
    "on_epoch_start": "on_epoch_begin",
    "on_fit_end": "on_train_end",
    "on_fit_start": "on_train_begin",
    "on_predict_batch_begin": "",
    "on_predict_batch_end": "",
    "on_predict_begin": "",
    "on_predict_end": "",
    "on_test_batch_begin": "",
    "on_test_batch_end": "",
    "on_test_epoch_end": "on_test_end",
    "on_test_epoch_start": "on_test_begin",
    "on_train_batch_start": "on_train_batch_begin",
    "on_train_epoch_end": "on_epoch_end",
    "on_train_epoch_start": "on_epoch_begin",
    "on_train_start": "on_train_begin",
    "on_validation_end": "on_test_end",
    "on_validation_epoch_end": "on_test_end",
    "on_validation_epoch_start": "on_test_begin",
    "on_validation_start": "on_test_begin",
    "after_batch": "on_train_batch_end",
    "after_epoch": "on_epoch_end",
    "after_fit": "on_train_end",
    "before_batch": "on_train_batch_begin",
    "before_epoch": "on_epoch_begin",
    "before_fit": "on_train_begin",
}


def checked_callbacks(callbacks: Any) -> tuple[Callback, ...]:
    """Return callbacks, or a single one, as a tuple.

    Raises
    ------
    TypeError
        If one is no callback, or has a hook that is misspelt or takes other arguments.
    ValueError
        If two write to one file.
    """
    given = (callbacks,) if isinstance(callbacks, Callback) else tuple(callbacks or ())
    for callback in given:
        if not isinstance(callback, Callback):
            raise TypeError(f"callbacks must be deepfs Callbacks, got {callback!r}")
        if not is_built_in(type(callback)):
            check_hooks(callback)
    check_files(given)
    return given


def check_files(callbacks: Sequence[Callback]) -> None:
    """Raise ValueError if two callbacks would write over each other's file."""
    owners: dict[str, str] = {}
    for callback in callbacks:
        settings, who = vars(callback), type(callback).__name__
        given = settings.get("filename", settings.get("filepath"))
        if not isinstance(given, (str, os.PathLike)):
            continue
        path = os.path.abspath(os.path.expanduser(given))
        if path in owners:
            raise ValueError(
                f"{owners[path]} and {who} would write to one file, {os.fspath(given)}: give each "
                "its own"
            )
        owners[path] = who


def check_hooks(callback: Callback) -> None:
    """Raise TypeError if a callback has a hook that `fit` would never, or not rightly, call."""
    who, cls = type(callback).__name__, type(callback)
    own = {
        name
        for base in cls.__mro__
        if not is_built_in(base)
        for name, value in vars(base).items()
        if callable(value)
    }
    for name in sorted(own):
        if name in ELSEWHERE:
            instead = ELSEWHERE[name]
            end = f": it is called {instead!r} here" if instead else ""
            raise TypeError(f"{who} has the hook {name!r}, but {NOT_CALLED}{end}")
        if name.startswith("on") and name not in ARGUMENTS:
            near = hint(name, ARGUMENTS) if name.startswith("on_") else meant(name, ARGUMENTS)
            if near:
                raise TypeError(f"{who} has the hook {name!r}, but {NOT_CALLED}{near}")
    for name in sorted(own & ARGUMENTS.keys()):
        takes = ARGUMENTS[name]
        try:
            signature = inspect.signature(getattr(callback, name))
        except (TypeError, ValueError):  # of a function in C, it is not always known
            continue
        try:
            signature.bind(*takes)
        except TypeError:
            raise TypeError(
                f"{who}.{name} must take ({', '.join(('self', *takes))}), and takes {signature}"
            ) from None


def adds_numbers(callback: Callback) -> bool:
    """Return whether a callback may add numbers to the logs of an epoch, of names unknown here."""
    if isinstance(callback, LambdaCallback):
        return callback.on_epoch_end is not None
    cls = type(callback)
    return cls.on_epoch_end is not Callback.on_epoch_end and not is_built_in(cls)


class Hooks:
    """The callbacks of one run."""

    def __init__(self, callbacks: Sequence[Callback], dev: bool = False, rank: int = 0) -> None:
        self.given, self.rank = callbacks, rank
        self.callbacks = [each for each in callbacks if not (dev and each._left_out)]
        self.sets_rate = any(each._sets_rate for each in self.callbacks)

    def check(self, names: Sequence[str], optimizer: Optimizer) -> None:
        """Raise ValueError before the first step for what would be wrong after it.

        ``names`` are those of the numbers that an epoch will have.
        """
        setting = [type(each).__name__ for each in self.given if each._sets_rate]
        if isinstance(optimizer.lr, Schedule):
            setting.insert(0, f"the schedule {type(optimizer.lr).__name__}")
        if len(setting) > 1:
            raise ValueError(
                f"{' and '.join(setting)} would set the learning rate at once: leave "
                f"{'all but one' if len(setting) > 2 else 'one'} out"
            )
        names = [*names, *(name for each in self.given for name in each._adds)]
        adding = any(adds_numbers(each) for each in self.given)
        for check in (optimizer.check_logs, *(each.check_logs for each in self.given)):
            try:
                check(names)
            except ValueError as error:
                # a callback of a user may add the number, but not one that is almost spelt so
                if not adding or "did you mean" in str(error) or "cannot tell" in str(error):
                    raise
        self._warn_of_averages()

    def _warn_of_averages(self) -> None:
        averages = [each for each in self.callbacks if isinstance(each, WeightAverage)]
        keeping = [each for each in self.callbacks if each._keeps_weights]
        if averages and keeping:
            warn(
                f"{type(keeping[0]).__name__} keeps the weights of the training, while the "
                f"validation measures the average of {type(averages[0]).__name__}: leave one out"
            )

    def __call__(self, hook: str, *number: int, logs: dict[str, float]) -> None:
        for callback in self.callbacks:
            function = self._function(callback, hook)
            if function is not None:
                try:
                    function(*number, logs)
                except Exception as error:
                    self._name(error, callback, hook, number)
                    raise

    def _function(self, callback: Callback, hook: str) -> Any:
        """Return a hook of a callback; None where there is none, or not on this rank."""
        if self.rank and callback.rank_0_only:
            return None
        return getattr(callback, hook)  # None, of a `LambdaCallback`

    def all_of(self, hook: str, logs: dict[str, float]) -> None:
        """Call a hook of all callbacks, also after one has raised.

        Averages go in reverse: the last to take the place of the weights leaves it first.
        """
        averages = (each for each in reversed(self.callbacks) if isinstance(each, WeightAverage))
        order = [
            next(averages) if isinstance(each, WeightAverage) else each for each in self.callbacks
        ]
        with ExitStack() as stack:
            for callback in reversed(order):
                stack.callback(self._one, callback, hook, logs)

    def _one(self, callback: Callback, hook: str, logs: dict[str, float]) -> None:
        function = self._function(callback, hook)
        try:
            if function is not None:
                function(logs)
        except Exception as error:
            self._name(error, callback, hook, ())
            raise

    def _name(
        self, error: Exception, callback: Callback, hook: str, number: tuple[int, ...]
    ) -> None:
        """Add to an error which callback has raised it."""
        count = "".join(f", {'step' if 'batch' in hook else 'epoch'} {at}" for at in number)
        error.add_note(
            f"raised by the callback {type(callback).__name__} in {hook}{count}; model.history has "
            "the epochs so far, and the weights stay as they are"
        )

    def ends_on(self, error: FloatingPointError) -> bool:
        """Return whether a callback ends the training instead of an error."""
        for callback in self.callbacks:
            if isinstance(callback, TerminateOnNaN):
                callback.end(error)
                return True
        return False

    def names(self) -> list[str]:
        """Return the classes of the callbacks, which must be the same in a resumed run."""
        return [type(callback).__name__ for callback in self.callbacks]

    def states(self) -> tuple[list[dict[str, Any]], dict[str, Array]]:
        """Return the states of all callbacks: numbers and text, and arrays by name."""
        states: list[dict[str, Any]] = []
        arrays: dict[str, Array] = {}
        for number, callback in enumerate(self.callbacks):
            state = callback.state()
            for name, value in state.items():
                if isinstance(value, np.ndarray):
                    arrays[f"{number}/{name}"] = value
            states.append({k: v for k, v in state.items() if not isinstance(v, np.ndarray)})
            try:
                json.dumps(states[-1])
            except (TypeError, ValueError) as error:
                raise TypeError(
                    f"{type(callback).__name__}.state must return numbers, text, None, lists of "
                    f"them and arrays, got {states[-1]!r}"
                ) from error
        return states, arrays

    def load(self, states: Sequence[dict[str, Any]], file: TensorFile) -> None:
        """Restore the states from a checkpoint."""
        for number, (callback, state) in enumerate(zip(self.callbacks, states, strict=True)):
            beside = f"run/{number}/"
            names = [name for name in file.entries if name.startswith(beside)]
            callback.load_state(state | {n.removeprefix(beside): file.read(n) for n in names})
