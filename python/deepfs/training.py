"""The loop of `Model.fit`: epochs and steps, callbacks, and checkpoints to go on from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from . import random
from ._check import flag, whole
from .callbacks import Callback
from .history import History, Mean
from .interrupt import Interrupt
from .layers._base import Array
from .progress import Progress
from .random import Random
from .tensorfile import CheckpointError, TensorFile

if TYPE_CHECKING:
    from .checkpoints import Checkpoints
    from .model import Model


class Run:
    """One call of `Model.fit`: what it was asked for, and where it stands.

    Where it stands is small: the epoch, how many samples of it are done, the stream that their
    order is drawn from, and the numbers so far. That and the model is what a checkpoint holds, so
    a run can go on from any step to the same bits.

    Attributes
    ----------
    epoch : int
        Epochs that are done.
    at : int
        Samples done of the next; 0 before its ``on_epoch_begin``.
    """

    def __init__(
        self,
        model: Model,
        data: tuple[Array, Array],
        validation_data: tuple[Array, Array] | None,
        batch_size: int,
        epochs: int,
        shuffle: bool,
        accumulate: int,
        callbacks: Sequence[Callback],
        checkpoints: Checkpoints | None,
        checkpoint_every: int | None,
        progress: Progress,
    ) -> None:
        self.model, self.validation_data = model, validation_data
        self.x, self.y = data
        self.batch_size, self.epochs = batch_size, epochs
        self.shuffle, self.accumulate = shuffle, accumulate
        self.callbacks, self.progress = callbacks, progress
        self.checkpoints, self.checkpoint_every = checkpoints, checkpoint_every
        self.random = Random()
        self.epoch, self.at = 0, 0
        self.mean, self.history = Mean(), History()

    def go(self, resume: TensorFile | None) -> History:
        """Train until the last epoch is done, a callback stops it, or Ctrl-C does."""
        model = self.model
        for callback in self.callbacks:
            callback.set_model(model)
        model.history, model.stop_training = self.history, False
        with Interrupt() as self.interrupt, self.progress:
            self._call("on_train_begin", logs={})
            if resume is not None:
                self._resume(resume)
            logs: dict[str, float] = {}
            while self.epoch < self.epochs and not self.interrupt.asked:
                if model.stop_training and self.at == 0:
                    break
                logs = self._epoch()
            self._call("on_train_end", logs=logs)
        self.history.interrupted = self.interrupt.asked
        return self.history

    def _epoch(self) -> dict[str, float]:
        """Take the steps of an epoch that are left; validate; return its logs."""
        model, samples, step = self.model, len(self.x), self.batch_size * self.accumulate
        order = self._order()
        self.progress.begin(self.epoch + 1, self.at)
        if self.at == 0:
            self._call("on_epoch_begin", self.epoch, logs={})
        while self.at < samples and not (model.stop_training or self.interrupt.asked):
            batch, picked = self.at // step, order[self.at : self.at + step]
            self._call("on_train_batch_begin", batch, logs={})
            starts = range(0, len(picked), self.batch_size)
            parts = [picked[start : start + self.batch_size] for start in starts]
            logs = model._step([(self.x[part], self.y[part]) for part in parts])
            self.mean.add(logs, model._counted(self.y[picked]))
            self.at += len(picked)
            self.progress.step(len(picked), self.mean.values())
            self._call("on_train_batch_end", batch, logs=logs)
            if self.checkpoint_every and model.steps % self.checkpoint_every == 0:
                self._save()
        self.progress.trained()
        logs = self.mean.values()
        if complete := not self.interrupt.asked:
            logs |= self._validate()
            self._call("on_epoch_end", self.epoch, logs=logs)
        else:
            self._save()  # before a part of an epoch gets into the history
        self.progress.end(logs)
        self.history.add(logs)
        if complete:
            model.epochs += 1
            model.optimizer.observe(logs)
            self.epoch, self.at, self.mean = self.epoch + 1, 0, Mean()
            self._save()
        return logs

    def _order(self) -> Array:
        """Return the order of the samples in this epoch: a function of its number."""
        if not self.shuffle:
            return np.arange(len(self.x))
        self.random.calls = self.epoch
        return self.random.permutation(len(self.x))

    def _validate(self) -> dict[str, float]:
        if self.validation_data is None:
            return {}
        logs: dict[str, float] = {}
        try:
            self._call("on_test_begin", logs={})
            measured = self.model.evaluate(*self.validation_data)
            logs = {f"val_{name}": value for name, value in measured.items()}
        finally:
            self._call("on_test_end", logs=logs)
        return logs

    def _call(self, hook: str, *number: int, logs: dict[str, float]) -> None:
        for callback in self.callbacks:
            getattr(callback, hook)(*number, logs)

    def _asked(self) -> dict[str, Any]:
        """Return what a resumed run must be asked for again."""
        return {
            "inputs": list(self.x.shape),
            "targets": list(self.y.shape),
            "batch_size": self.batch_size,
            "gradient_accumulation_steps": self.accumulate,
            "shuffle": self.shuffle,
            "callbacks": [type(callback).__name__ for callback in self.callbacks],
        }

    def _save(self) -> None:
        if self.checkpoints is None or self.model.steps == 0:
            return
        states, arrays = [], {}
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
        run = {
            "asked": self._asked(),
            "epoch": self.epoch,
            "at": self.at,
            "order": [self.random.seed, self.random.stream],
            "random": random.get_state(),
            "totals": self.mean.totals,
            "samples": self.mean.samples,
            "history": self.history.history,
            "stopped": self.model.stop_training,
            "callbacks": states,
        }
        self.checkpoints.save(self.model, run, arrays)

    def _resume(self, file: TensorFile) -> None:
        """Stand where the run stood that wrote a checkpoint.

        Raises
        ------
        CheckpointError
            If that was another run: of another model, on other data, with other settings. Then
            nothing has changed.
        """
        from .saving import check_same, restore

        try:
            run = file.description["run"]
            check_same("fit", json.loads(json.dumps(self._asked())), run["asked"], file.path)
            seed, stream, *process = (whole(n, "a number", 0) for n in run["order"] + run["random"])
            epoch, at, samples = (whole(run[name], name, 0) for name in ("epoch", "at", "samples"))
            totals = {name: float(value) for name, value in run["totals"].items()}
            history = {name: [*map(float, values)] for name, values in run["history"].items()}
            states = [dict(run["callbacks"][number]) for number, _ in enumerate(self.callbacks)]
            stopped, next_streams = flag(run["stopped"], "stopped"), (process[0], process[1])
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise CheckpointError(f"{file.path} is not a checkpoint of a run: {error!r}") from error
        restore(self.model, file)
        self.epoch, self.at, self.random = epoch, at, Random(seed, stream)
        self.mean.totals, self.mean.samples = totals, samples
        self.history.history, self.model.stop_training = history, stopped
        random.set_state(next_streams)
        for number, (callback, state) in enumerate(zip(self.callbacks, states, strict=True)):
            beside = f"run/{number}/"
            names = [name for name in file.entries if name.startswith(beside)]
            callback.load_state(state | {n.removeprefix(beside): file.read(n) for n in names})
