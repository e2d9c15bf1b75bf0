"""The loop of `Model.fit`: epochs and steps, callbacks, checkpoints and resuming."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator, Sequence, Sized
from contextlib import closing
from itertools import count, islice
from typing import Any

import numpy as np

from .. import random
from .._arrays import Array
from .._check import flag, whole
from .._warn import warn
from ..callbacks import Callback
from ..data.batches import DataSet, Stream, ended
from ..data.loader import Loader
from ..distributed.shards import Shards
from ..distributed.world import ENDED, GOES_ON, INTERRUPTED, ONE, STOP
from ..means import Means
from ..random import Random
from ..saving.checkpoints import Checkpoints
from ..saving.model import restore
from ..saving.settings import check_same
from ..saving.tensors import CheckpointError, TensorFile
from ..schedules import Schedule
from ..trainer import PER_STEP, Trainer
from .explosion import Explosion
from .history import History
from .hooks import Hooks
from .inputs import check_batch
from .interrupt import Interrupt
from .limits import Limits
from .progress import Progress
from .ranks import begin

EVALUATED = 256  # samples at a time in validation
LISTED = 64  # samples of a batch that a message lists
# settings that files of 0.1.0 lack, or of before they were added
SINCE_0_1_0 = {
    "drop_last": False, "steps_per_epoch": None, "lr": None, "total": None, "loader": None,
    "shards": 1, "sync_batch_norm": False,
}  # fmt: skip


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
        limits: Limits = Limits(),  # noqa: B008  # a tuple, which does not change
        shards: Shards = Shards(1, ONE),  # noqa: B008
    ) -> None:
        self.trainer, self.data, self.validation_data = trainer, data, validation_data
        self.batch_size, self.epochs, self.steps_per_epoch = batch_size, epochs, steps_per_epoch
        self.shuffle, self.drop_last, self.accumulate = shuffle, drop_last, accumulate
        self.hooks = Hooks(callbacks, limits.dev, shards.world.rank)
        self.progress, self.limits = progress, limits
        self.checkpoints, self.checkpoint_every = checkpoints, checkpoint_every
        with random.using(trainer.streams):
            self.random = Random()
        self.shards, self.world = (shards if shards.count > 1 else None), shards.world
        self.asked = False  # whether Ctrl-C was pressed, as far as all ranks know
        self.epoch, self.steps_done, self.samples_done = 0, 0, 0
        self.means, self.history = Means(trainer.loss, trainer.metrics), History()
        self.explosion = Explosion()
        self.total: list[int | None] | None = None  # steps and epochs, if a schedule takes them
        self.lr: float | None = None  # the first rate, if a callback changes it
        self.began = [0, 0]  # steps and epochs of the optimizer before the run

    def run(self, resume: TensorFile | None) -> History:
        """Train until the last epoch is done, a callback stops it, or Ctrl-C does."""
        trainer = self.trainer
        trainer.stop_training = False
        with Interrupt() as self.interrupt, self.progress, random.using(trainer.streams):
            trainer.check_ends()
            trainer.prepare()  # callbacks see the state and rate of this run
            self.hooks.check(self._names(), trainer.optimizer)
            self._begin_schedule()
            self._warn_of_steps()
            self.epochs = self.limits.epochs(self.epochs)
            begin(self, resume)
            self.hooks("on_train_begin", logs={})
            if resume is not None:
                self._resume(resume)
            logs: dict[str, float] = {}
            while self.epoch < self.epochs and not self._interrupted():
                if self._ended() and self.samples_done == 0:
                    break
                logs = self._epoch()
            self.hooks("on_train_end", logs=logs)
            self.history.interrupted = self._interrupted()  # all ranks are done, and none failed
        return self.history

    def _stops(self) -> bool:
        """Return whether the run is to end after this step: whatever rank was asked to."""
        asked = INTERRUPTED if self.interrupt.asked else 0
        asked = self.world.agree(asked | (STOP if self.trainer.stop_training else 0))
        if asked & STOP:
            self.trainer.stop_training = True
        self.asked = self.asked or bool(asked & INTERRUPTED)
        return self.asked or self.trainer.stop_training

    def _interrupted(self) -> bool:
        """Return whether Ctrl-C was pressed, on whatever rank."""
        self._stops()
        return self.asked

    def _names(self) -> list[str]:
        """Return the names of the numbers that an epoch will have."""
        names = self.means.names()
        if self.validation_data is not None:
            names += [f"val_{name}" for name in names]
        there = self.trainer.report_penalty, self.trainer.optimizer.clip_norm is not None
        return names + [name for name, is_there in zip(PER_STEP, there, strict=True) if is_there]

    def _begin_schedule(self) -> None:
        """Note what moves the learning rate; give a schedule without a total that of this run."""
        trainer, optimizer = self.trainer, self.trainer.optimizer
        self.progress.rate = lambda: rate_of(trainer)
        if self.hooks.sets_rate:
            self.lr = float(optimizer.lr)  # type: ignore[arg-type]
        if isinstance(optimizer.lr, Schedule) and optimizer.lr._lacks_total():
            self.total = [self._total_steps(), self.epochs]
            self.began = [trainer.steps - trainer.state_since, trainer.epochs]
            if self.epochs:
                optimizer.lr._begin(self.total[0], self.epochs, (self.began[0], self.began[1]))

    def _warn_of_steps(self) -> None:
        """Warn if an epoch is to have more steps than there are batches."""
        wanted = self.steps_per_epoch
        if wanted is None or not isinstance(self.data, DataSet) or self.limits.batches is not None:
            return
        steps = (self._total_steps() or 0) // max(self.epochs, 1)
        if self.epochs and steps < wanted:
            warn(
                f"an epoch has {steps} steps, fewer than steps_per_epoch={wanted}: there are "
                f"{self.data.samples:,} samples"
            )

    def _total_steps(self) -> int | None:
        """Return the number of steps of all epochs, if it is known."""
        if isinstance(self.data, Stream):
            batches = self.data.steps
            if batches is None and isinstance(self.data.source, Sized):
                batches = len(self.data.source)
            return None if batches is None else -(-batches // self.accumulate) * self.epochs
        samples, size = self.data.samples, self.batch_size
        batches = samples // size if self.drop_last else -(-samples // size)
        steps = -(-batches // self.accumulate)
        return min(steps, self.steps_per_epoch or steps) * self.epochs

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
            self.hooks("on_epoch_begin", self.epoch, logs={})
        with closing(self._steps()) as steps:  # a Loader's thread ends with them
            while not self._stops():
                batches = self._next(steps)
                if batches is None:
                    break
                number = self.steps_done
                self.hooks("on_train_batch_begin", number, logs={})
                try:
                    logs = trainer.step(batches, self.means, self.shards)
                except FloatingPointError as error:
                    if not self.hooks.ends_on(error):
                        self._note_samples(error, batches)
                        raise
                    break
                except (TypeError, ValueError, IndexError) as error:
                    self._note_samples(error, batches)
                    raise
                if logs["loss"] > self.explosion.limit:
                    self.explosion.see(logs["loss"], trainer)
                samples = sum(map(len, batches))
                self.steps_done, self.samples_done = number + 1, self.samples_done + samples
                self.progress.step(samples, self.means.values)
                self.hooks("on_train_batch_end", number, logs=logs)
                if self.checkpoint_every and trainer.steps % self.checkpoint_every == 0:
                    self._save()
        self.progress.trained()
        if self.samples_done == 0 and trainer.stop_training:
            self.progress.close()
            return {}
        logs = self.means.values()
        if not self._interrupted():
            logs |= self._validate()
        if complete := not self._interrupted():
            try:
                self.hooks("on_epoch_end", self.epoch, logs=logs)
            except BaseException:
                self.history.add(logs)  # the epoch is done, whatever a callback makes of it
                raise
        else:
            self._save()  # before the history gets an entry for a part of an epoch
        self.progress.end(logs)
        self.history.add(logs)
        if complete:
            trainer.end_epoch(logs)
            self.epoch, self.steps_done, self.samples_done = self.epoch + 1, 0, 0
            self._save()
        return logs

    def _note_samples(self, error: Exception, batches: list[Any]) -> None:
        """Note which samples a step had: what it could not take has an index in the batch."""
        if isinstance(self.data, DataSet):
            start, count = self.samples_done, sum(map(len, batches))
            numbers = self._order()[start : start + count]
            if isinstance(self.data, Loader):
                numbers = self.data._numbers_of(numbers)
            listed = ", ".join(map(str, numbers[:LISTED])) + ", ..." * (count > LISTED)
            error.add_note(f"the batch had the samples {listed}")

    def _next(self, steps: Iterator[list[Any]]) -> list[Any] | None:
        """Return the batches of the next step; where they cannot be read, keep what is trained."""
        try:
            batches = next(steps, None)
        except Exception:
            self._save_for_retry()
            raise
        if isinstance(self.data, Stream) and self.world.size > 1:
            said = self.world.agree(ENDED if batches is None else GOES_ON)
            if said == ENDED | GOES_ON:
                self.world.refuse(ValueError("an iterable has ended on some ranks and not on all"))
        return batches

    def _save_for_retry(self) -> None:
        """Save the position where data could not be read; that of an iterable is not known."""
        if isinstance(self.data, DataSet):
            self._save()

    def _steps(self) -> Generator[list[Any]]:
        """Yield the batches of each remaining step of an epoch, cut if there are shards."""
        data = self.data
        if isinstance(data, Stream):
            batches = islice(data.epoch(), self.limits.batches)
            done = self.steps_done * self.accumulate
            while step := list(islice(batches, self.accumulate)):
                for number, batch in enumerate(step, done + 1):
                    check_batch(self.trainer, batch, number)
                yield step if self.shards is None else [*map(self.shards.cut, step)]
                done += len(step)
            return
        order, size = self._order(), self.batch_size
        samples = len(order) - len(order) % size if self.drop_last else len(order)
        if self.steps_per_epoch is not None:
            samples = min(samples, self.steps_per_epoch * size * self.accumulate)
        samples = self.limits.samples(samples, size) or 0
        starts = range(self.samples_done, samples, size)
        picks: Iterator[Array] = (order[start : min(start + size, samples)] for start in starts)
        if self.shards is not None:
            picks = self.shards.picks(order[:samples], starts, size)
        # another fit of the same model has another stream, and other augmentations
        seed = (self.random.seed + (self.random.stream << 32)) % 2**63
        with ended(data.batches(picks, self.epoch, seed)) as read:
            given: Iterator[Any] = read
            if self.shards is not None:
                given = self.shards.cuts(read, samples, starts, size)
            while step := list(islice(given, self.accumulate)):
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
            self.hooks("on_test_begin", logs={})
            limit, seen = self.limits.batches, count()
            size = getattr(self.validation_data, "batch_size", EVALUATED)  # a Loader's own
            if limit is not None:
                size = self.batch_size
            measured = self.trainer.evaluate(
                self.validation_data, size,
                lambda: self.interrupt.asked or (limit is not None and next(seen) >= limit),
                world=self.world,
            )  # fmt: skip
            if not self._interrupted():
                logs = {f"val_{name}": value for name, value in measured.items()}
        except Exception:
            self._save_for_retry()
            raise
        finally:
            self.hooks.all_of("on_test_end", logs)
        return logs

    def _settings(self) -> dict[str, Any]:
        """Return the settings that must be the same in a resumed run."""
        return {
            "loader": None,
            **self.data.shapes(),
            "batch_size": self.batch_size,
            "gradient_accumulation_steps": self.accumulate,
            "shuffle": self.shuffle,
            "callbacks": self.hooks.names(),
            "drop_last": self.drop_last,
            "steps_per_epoch": self.steps_per_epoch,
            "lr": self.lr,
            "total": self.total,
            "shards": 1 if self.shards is None else self.shards.count,
            "sync_batch_norm": self.shards is not None and self.shards.sync,
        }

    def _save(self) -> None:
        if self.checkpoints is None or self.trainer.steps == 0 or self.world.rank:
            return
        states, arrays = self.hooks.states()
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
            "began": self.began,
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
            settings = json.loads(json.dumps(self._settings()))
            self._check_total(asked["total"], file)
            if self.lr is not None and self.lr == file.description["optimizer"]["lr"]:
                settings["lr"] = asked["lr"]  # the same process, whose rate has moved on
            check_same("fit", settings, asked, file.path)
            began = [whole(number, "began", 0) for number in run.get("began", [0, 0])]
            order = Random(*random.checked_state(run["order"]))
            next_streams = random.checked_state(run["random"])
            epoch, at = (whole(run[name], name, 0) for name in ("epoch", "at"))
            steps = whole(
                run.get("steps", -(-at // (self.batch_size * self.accumulate))), "steps", 0
            )
            history = {name: [*map(float, values)] for name, values in run["history"].items()}
            states = [dict(run["callbacks"][at]) for at, _ in enumerate(self.hooks.callbacks)]
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
        restore(self.trainer, file, rate_moves=self.lr is not None)
        self.epoch, self.steps_done, self.samples_done = epoch, steps, at
        self.random, self.means = order, means
        self.history.history, self.trainer.stop_training = history, stopped
        random.set_state(next_streams)
        if self.total is not None and isinstance(self.trainer.optimizer.lr, Schedule):
            self.began = began
            self.trainer.optimizer.lr._begin(self.total[0], self.epochs, (began[0], began[1]))
        if self.lr is not None:
            self.lr = asked["lr"]
        self.hooks.load(states, file)
        self.progress.resumed(file.path, self.trainer.steps, epoch + 1, at)

    def _check_total(self, asked: Any, file: TensorFile) -> None:
        """Raise CheckpointError if a schedule would have another length in the rest of the run."""
        if self.total is not None and asked is not None and list(asked) != self.total:
            who = type(self.trainer.optimizer.lr).__name__
            raise CheckpointError(
                f"{file.path} is of a run of {asked[1]} epochs and {asked[0]} steps, this one of "
                f"{self.total[1]} and {self.total[0]}, and {who} takes its total from fit: the "
                "rates would be those of neither; give the same epochs, or a schedule with total="
            )

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


def rate_of(trainer: Trainer) -> float:
    """Return the learning rate of the last step."""
    return trainer.optimizer.rate(max(trainer.steps - trainer.state_since, 1), trainer.epochs)
