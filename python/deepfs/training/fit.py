"""The loop of `Model.fit`: epochs and steps, callbacks, checkpoints and resuming."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import random
from .._arrays import Array
from .._check import flag, whole
from ..callbacks import Callback
from ..random import Random
from ..saving.checkpoints import Checkpoints
from ..saving.model import restore
from ..saving.settings import check_same
from ..saving.tensors import CheckpointError, TensorFile
from ..trainer import Mean, Trainer
from .history import History
from .interrupt import Interrupt
from .progress import Progress

EVALUATED = 256  # samples at a time in validation


class Run:
    """One call of `Model.fit`: its settings and its position.

    The position is small: the epoch, the samples done in it, the random stream of their order, and
    the sums for means. A checkpoint holds it beside the model, so a run can be resumed at any step
    with the same bits.

    Attributes
    ----------
    epoch : int
        Number of epochs that are done.
    samples_done : int
        Samples of the next epoch that are done; 0 before its ``on_epoch_begin``.
    """

    def __init__(
        self,
        trainer: Trainer,
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
        self.trainer, self.validation_data = trainer, validation_data
        self.x, self.y = data
        self.batch_size, self.epochs = batch_size, epochs
        self.shuffle, self.accumulate = shuffle, accumulate
        self.callbacks, self.progress = callbacks, progress
        self.checkpoints, self.checkpoint_every = checkpoints, checkpoint_every
        self.random = Random()
        self.epoch, self.samples_done = 0, 0
        self.mean, self.history = Mean(), History()

    def run(self, resume: TensorFile | None) -> History:
        """Train until the last epoch is done, a callback stops it, or Ctrl-C does."""
        trainer = self.trainer
        trainer.stop_training = False
        with Interrupt() as self.interrupt, self.progress:
            self._call("on_train_begin", logs={})
            if resume is not None:
                self._resume(resume)
            logs: dict[str, float] = {}
            while self.epoch < self.epochs and not self.interrupt.asked:
                if trainer.stop_training and self.samples_done == 0:
                    break
                logs = self._epoch()
            self._call("on_train_end", logs=logs)
        self.history.interrupted = self.interrupt.asked
        return self.history

    def _epoch(self) -> dict[str, float]:
        """Take the remaining steps of an epoch; validate; return its logs."""
        trainer, samples, step = self.trainer, len(self.x), self.batch_size * self.accumulate
        order = self._order()
        self.progress.begin(self.epoch + 1, self.samples_done)
        if self.samples_done == 0:
            self._call("on_epoch_begin", self.epoch, logs={})
        while self.samples_done < samples and not (trainer.stop_training or self.interrupt.asked):
            batch = self.samples_done // step
            picked = order[self.samples_done : self.samples_done + step]
            self._call("on_train_batch_begin", batch, logs={})
            starts = range(0, len(picked), self.batch_size)
            parts = [picked[start : start + self.batch_size] for start in starts]
            logs = trainer.step([(self.x[part], self.y[part]) for part in parts])
            self.mean.add(logs, trainer.counted(self.y[picked]))
            self.samples_done += len(picked)
            self.progress.step(len(picked), self.mean.values())
            self._call("on_train_batch_end", batch, logs=logs)
            if self.checkpoint_every and trainer.steps % self.checkpoint_every == 0:
                self._save()
        self.progress.trained()
        logs = self.mean.values()
        if complete := not self.interrupt.asked:
            logs |= self._validate()
            self._call("on_epoch_end", self.epoch, logs=logs)
        else:
            self._save()  # before the history gets an entry for a part of an epoch
        self.progress.end(logs)
        self.history.add(logs)
        if complete:
            trainer.epochs += 1
            trainer.optimizer.observe(logs)
            self.epoch, self.samples_done, self.mean = self.epoch + 1, 0, Mean()
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
            measured = self.trainer.evaluate(*self.validation_data, EVALUATED)
            logs = {f"val_{name}": value for name, value in measured.items()}
        finally:
            self._call("on_test_end", logs=logs)
        return logs

    def _call(self, hook: str, *number: int, logs: dict[str, float]) -> None:
        for callback in self.callbacks:
            getattr(callback, hook)(*number, logs)

    def _settings(self) -> dict[str, Any]:
        """Return the settings that must be the same in a resumed run."""
        return {
            "inputs": list(self.x.shape),
            "targets": list(self.y.shape),
            "batch_size": self.batch_size,
            "gradient_accumulation_steps": self.accumulate,
            "shuffle": self.shuffle,
            "callbacks": [type(callback).__name__ for callback in self.callbacks],
        }

    def _save(self) -> None:
        if self.checkpoints is None or self.trainer.steps == 0:
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
            "asked": self._settings(),
            "epoch": self.epoch,
            "at": self.samples_done,
            "order": [self.random.seed, self.random.stream],
            "random": random.get_state(),
            "totals": self.mean.totals,
            "samples": self.mean.samples,
            "history": self.history.history,
            "stopped": self.trainer.stop_training,
            "callbacks": states,
        }
        self.checkpoints.save(self.trainer, run, arrays)

    def _resume(self, file: TensorFile) -> None:
        """Go to the position of the run that wrote a checkpoint.

        Raises
        ------
        CheckpointError
            If that was another run: of another model, on other data, with other settings. Then
            nothing has changed.
        """
        try:
            run = file.description["run"]
            check_same("fit", json.loads(json.dumps(self._settings())), run["asked"], file.path)
            seed, stream, *process = (whole(n, "a number", 0) for n in run["order"] + run["random"])
            epoch, at, samples = (whole(run[name], name, 0) for name in ("epoch", "at", "samples"))
            totals = {name: float(value) for name, value in run["totals"].items()}
            history = {name: [*map(float, values)] for name, values in run["history"].items()}
            states = [dict(run["callbacks"][number]) for number, _ in enumerate(self.callbacks)]
            stopped, next_streams = flag(run["stopped"], "stopped"), (process[0], process[1])
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise CheckpointError(f"{file.path} is not a checkpoint of a run: {error!r}") from error
        restore(self.trainer, file)
        self.epoch, self.samples_done, self.random = epoch, at, Random(seed, stream)
        self.mean.totals, self.mean.samples = totals, samples
        self.history.history, self.trainer.stop_training = history, stopped
        random.set_state(next_streams)
        for number, (callback, state) in enumerate(zip(self.callbacks, states, strict=True)):
            beside = f"run/{number}/"
            names = [name for name in file.entries if name.startswith(beside)]
            callback.load_state(state | {n.removeprefix(beside): file.read(n) for n in names})
