"""The loop of `Model.fit`: epochs and steps, callbacks, checkpoints and resuming."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from itertools import islice
from typing import Any

import numpy as np

from .. import random
from .._arrays import Array
from .._check import flag, whole
from ..callbacks import Callback
from ..data.batches import Batch, DataSet, Stream, ended
from ..means import Means
from ..random import Random
from ..saving.checkpoints import Checkpoints
from ..saving.model import restore
from ..saving.settings import check_same
from ..saving.tensors import CheckpointError, TensorFile
from ..trainer import PER_STEP, Trainer
from .history import History
from .inputs import check_batch
from .interrupt import Interrupt
from .progress import Progress

EVALUATED = 256  # samples at a time in validation
# settings that its files lack
SINCE_0_1_0 = {"drop_last": False, "steps_per_epoch": None, "loader": None}


class Run:
    """One call of `Model.fit`: its settings and its position.

    The position is small: the epoch, the samples done in it, the random stream of their order, and
    the sums for means. A checkpoint holds it beside the model, so a run can be resumed at any step
    with the same bits.

    Attributes
    ----------
    epoch : int
        Number of epochs that are done.
    steps_done, samples_done : int
        Steps and samples of the next epoch that are done; 0 before its ``on_epoch_begin``.
    """

    def __init__(
        self,
        trainer: Trainer,
        data: DataSet | Stream,
        validation_data: DataSet | None,
        batch_size: int,
        epochs: int,
        steps_per_epoch: int | None,
        shuffle: bool,
        drop_last: bool,
        accumulate: int,
        callbacks: Sequence[Callback],
        checkpoints: Checkpoints | None,
        checkpoint_every: int | None,
        progress: Progress,
    ) -> None:
        self.trainer, self.data, self.validation_data = trainer, data, validation_data
        self.batch_size, self.epochs, self.steps_per_epoch = batch_size, epochs, steps_per_epoch
        self.shuffle, self.drop_last, self.accumulate = shuffle, drop_last, accumulate
        self.callbacks, self.progress = callbacks, progress
        self.checkpoints, self.checkpoint_every = checkpoints, checkpoint_every
        with random.using(trainer.streams):
            self.random = Random()
        self.epoch, self.steps_done, self.samples_done = 0, 0, 0
        self.means, self.history = Means(trainer.loss, trainer.metrics), History()

    def run(self, resume: TensorFile | None) -> History:
        """Train until the last epoch is done, a callback stops it, or Ctrl-C does."""
        trainer = self.trainer
        trainer.stop_training = False
        with Interrupt() as self.interrupt, self.progress, random.using(trainer.streams):
            trainer.prepare()  # callbacks see the state and rate of this run
            self._check_monitor()
            self._call("on_train_begin", logs={})
            if resume is not None:
                self._resume(resume)
            logs: dict[str, float] = {}
            while self.epoch < self.epochs and not self.interrupt.asked:
                if self._ended() and self.samples_done == 0:
                    break
                logs = self._epoch()
            self._call("on_train_end", logs=logs)
        self.history.interrupted = self.interrupt.asked
        return self.history

    def _check_monitor(self) -> None:
        """Raise ValueError if the schedule needs a number that no epoch will have."""
        if any(type(each).on_epoch_end is not Callback.on_epoch_end for each in self.callbacks):
            return  # they may add it
        names = self.means.names()
        if self.validation_data is not None:
            names += [f"val_{name}" for name in names]
        self.trainer.optimizer.check_logs([*names, *PER_STEP])

    def _ended(self) -> bool:
        """Return whether a callback asked for the end, or an iterator is used up."""
        used_up = isinstance(self.data, Stream) and self.data.ended
        return self.trainer.stop_training or used_up

    def _epoch(self) -> dict[str, float]:
        """Take the remaining steps of an epoch; validate; return its logs."""
        trainer = self.trainer
        self.progress.begin(self.epoch + 1, self.samples_done)
        if self.samples_done == 0:
            self.means = Means(trainer.loss, trainer.metrics)  # callbacks may have exchanged them
            self._call("on_epoch_begin", self.epoch, logs={})
        with closing(self._steps()) as steps:  # a Loader's thread ends with them
            while not (trainer.stop_training or self.interrupt.asked):
                batches = self._next(steps)
                if batches is None:
                    break
                number = self.steps_done
                self._call("on_train_batch_begin", number, logs={})
                logs = trainer.step(batches, self.means)
                samples = sum(map(len, batches))
                self.steps_done, self.samples_done = number + 1, self.samples_done + samples
                self.progress.step(samples, self.means.values)
                self._call("on_train_batch_end", number, logs=logs)
                if self.checkpoint_every and trainer.steps % self.checkpoint_every == 0:
                    self._save()
        self.progress.trained()
        logs = self.means.values()
        if not self.interrupt.asked:
            logs |= self._validate()
        if complete := not self.interrupt.asked:
            self._call("on_epoch_end", self.epoch, logs=logs)
        else:
            self._save()  # before the history gets an entry for a part of an epoch
        self.progress.end(logs)
        self.history.add(logs)
        if complete:
            trainer.end_epoch(logs)
            self.epoch, self.steps_done, self.samples_done = self.epoch + 1, 0, 0
            self._save()
        return logs

    def _next(self, steps: Iterator[list[Batch]]) -> list[Batch] | None:
        """Return the batches of the next step; where they cannot be read, keep what is trained."""
        try:
            return next(steps, None)
        except Exception:
            if isinstance(self.data, DataSet):
                self._save()
            raise

    def _steps(self) -> Generator[list[Batch]]:
        """Yield the batches of each remaining step of an epoch."""
        data = self.data
        if isinstance(data, Stream):
            batches = data.epoch()
            count = self.steps_done * self.accumulate
            while step := list(islice(batches, self.accumulate)):
                for number, batch in enumerate(step, count + 1):
                    check_batch(self.trainer, batch, number)
                yield step
                count += len(step)
            return
        order, size = self._order(), self.batch_size
        samples = len(order) - len(order) % size if self.drop_last else len(order)
        if self.steps_per_epoch is not None:
            samples = min(samples, self.steps_per_epoch * size * self.accumulate)
        starts = range(self.samples_done, samples, size)
        picks = (order[start : min(start + size, samples)] for start in starts)
        # another fit of the same model has another stream, and other augmentations
        seed = (self.random.seed + (self.random.stream << 32)) % 2**63
        with ended(data.batches(picks, self.epoch, seed)) as batches:
            while step := list(islice(batches, self.accumulate)):
                yield step

    def _order(self) -> Array:
        """Return the order of the samples in this epoch: a function of its number."""
        assert isinstance(self.data, DataSet)
        if not self.shuffle:
            return np.arange(self.data.samples)
        self.random.calls = self.epoch
        return self.random.permutation(self.data.samples)

    def _validate(self) -> dict[str, float]:
        if self.validation_data is None:
            return {}
        logs: dict[str, float] = {}
        try:
            self._call("on_test_begin", logs={})
            size = getattr(self.validation_data, "batch_size", EVALUATED)  # a Loader's own
            measured = self.trainer.evaluate(
                self.validation_data, size, lambda: self.interrupt.asked
            )
            if not self.interrupt.asked:
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
            "loader": None,
            **self.data.shapes(),
            "batch_size": self.batch_size,
            "gradient_accumulation_steps": self.accumulate,
            "shuffle": self.shuffle,
            "callbacks": [type(callback).__name__ for callback in self.callbacks],
            "drop_last": self.drop_last,
            "steps_per_epoch": self.steps_per_epoch,
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
        numbers, sums = self.means.state()
        arrays |= {f"means/{name}": array for name, array in sums.items()}
        run = {
            "asked": self._settings(),
            "epoch": self.epoch,
            "at": self.samples_done,
            "order": [self.random.seed, self.random.stream],
            "random": random.get_state(),
            "means": numbers,
            "steps": self.steps_done,
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
            asked = SINCE_0_1_0 | run["asked"]
            check_same("fit", json.loads(json.dumps(self._settings())), asked, file.path)
            order = Random(*random.checked_state(run["order"]))
            next_streams = random.checked_state(run["random"])
            epoch, at = (whole(run[name], name, 0) for name in ("epoch", "at"))
            steps = whole(
                run.get("steps", -(-at // (self.batch_size * self.accumulate))), "steps", 0
            )
            history = {name: [*map(float, values)] for name, values in run["history"].items()}
            states = [dict(run["callbacks"][number]) for number, _ in enumerate(self.callbacks)]
            stopped = flag(run["stopped"], "stopped")
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise CheckpointError(f"{file.path} is not a checkpoint of a run: {error!r}") from error
        if at and isinstance(self.data, Stream):
            raise CheckpointError(
                f"{file.path} was written after {steps} steps of an epoch: where an iterable was, "
                "no one knows; resume from the end of an epoch, or train on arrays"
            )
        try:
            means = self._means_of(run, file)
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise CheckpointError(f"{file.path} is not a checkpoint of a run: {error!r}") from error
        restore(self.trainer, file)
        self.epoch, self.steps_done, self.samples_done = epoch, steps, at
        self.random, self.means = order, means
        self.history.history, self.trainer.stop_training = history, stopped
        random.set_state(next_streams)
        for number, (callback, state) in enumerate(zip(self.callbacks, states, strict=True)):
            beside = f"run/{number}/"
            names = [name for name in file.entries if name.startswith(beside)]
            callback.load_state(state | {n.removeprefix(beside): file.read(n) for n in names})

    def _means_of(self, run: dict[str, Any], file: TensorFile) -> Means:
        """Return the means of a checkpoint."""
        means, folder = Means(self.trainer.loss, self.trainer.metrics), "run/means/"
        if "means" in run:
            names = [name for name in file.entries if name.startswith(folder)]
            arrays = {name.removeprefix(folder): file.read(name) for name in names}
            means.load_state(run["means"], arrays)
        elif run["samples"]:  # of 0.1.0: means times samples
            means.load_means(
                {name: float(total) for name, total in run["totals"].items()},
                whole(run["samples"], "samples", 0),
            )
        return means
