"""The plan of a training: its parameters, work, memory and time. See `Model.plan`.

A copy of the model takes a few steps on random numbers. They are timed, and the memory they leave
in the store of `cnn_core.memory`, which keeps all it has ever given out, is what activations and
workspaces need.
"""

from __future__ import annotations

import gc
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

from cnn_core import memory

from .._html import table_html
from .._table import rows_of, with_prefix
from .._trees import leaves, map_shapes, map_tree
from ..config import get_num_threads
from ..data.batches import Batch, DataSet
from ..means import Means
from ..trainer import Trainer
from .trial import copy_of, random_batch, shape_for

LARGEST = 2**29  # bytes of activations of a batch that is tried; larger ones are extrapolated
KEPT = 1.5  # times the outputs of all layers: a guess of what a step takes, to stay below that
DATA = 2**26  # bytes of the data set from which its batches are gathered
ROUNDS, SECONDS, STEPS = 3, 0.25, 30  # of the timing: rounds, the least time, the most steps


@dataclass(frozen=True, repr=False)
class TrainingPlan:
    """Result of `Model.plan`: what a training will need. Print it for a table.

    Attributes
    ----------
    batch_size, samples, steps : int or None
        Samples of a step and of an epoch, and the steps of an epoch; None if they were not given.
    parameters, trainable : int
        Learned numbers, and those of them that training changes.
    multiply_adds : int
        Of the forward pass of one sample, as textbooks count them. A training step takes about
        three times as many.
    memory : dict of int
        Bytes of ``parameters``, ``gradients``, ``optimizer`` (its state), ``activations`` (with
        their gradients and the workspace of kernels) and ``batch`` (inputs and targets of a step).
    step_seconds : float
        Time of a training step.
    dtype : str
        dtype of the network.
    threads : int
        Number of threads that kernels could use.
    tried : int
        Samples of the batch that was measured: less than ``batch_size`` where that would have taken
        much memory. Then memory and time are extrapolated linearly.
    """

    batch_size: int
    samples: int | None
    parameters: int
    trainable: int
    multiply_adds: int
    memory: dict[str, int]
    step_seconds: float
    dtype: str
    threads: int
    tried: int

    @property
    def peak_bytes(self) -> int:
        """Most memory of the training at a time, beside the interpreter and the data set."""
        return sum(self.memory.values())

    @property
    def steps(self) -> int | None:
        """Steps of an epoch."""
        return None if self.samples is None else -(-self.samples // self.batch_size)

    @property
    def epoch_seconds(self) -> float | None:
        """Time of an epoch without validation."""
        if self.samples is None:
            return None
        return self.step_seconds * self.samples / self.batch_size

    def as_dict(self) -> dict[str, Any]:
        """Return everything as dicts and numbers, for instance for JSON."""
        names = ("peak_bytes", "steps", "epoch_seconds")
        return {**vars(self), **{name: getattr(self, name) for name in names}}

    def __repr__(self) -> str:
        rows = cells_of(self)
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            f"{what:<{widths[0]}}  {much:>{widths[1]}}  {note}".rstrip()
            for what, much, note in rows
        ]
        return "\n".join([heading(self), *lines, *notes(self)])

    def _repr_html_(self) -> str:
        return table_html((heading(self), "", ""), cells_of(self), notes(self))


def heading(plan: TrainingPlan) -> str:
    """Return what was planned."""
    epoch = "" if plan.samples is None else f" of {plan.samples:,} samples"
    threads = f"{plan.threads} thread{'' if plan.threads == 1 else 's'}"
    return f"Plan for batches of {plan.batch_size:,}{epoch}, {plan.dtype}, {threads}"


def cells_of(plan: TrainingPlan) -> list[tuple[str, str, str]]:
    """Return the rows of the table: what, how much, and a note."""
    frozen = plan.parameters - plan.trainable
    peak = f"{plan.peak_bytes / 1e6:,.1f} MB"
    rows = [
        ("parameters", f"{plan.parameters:,}", f"{frozen:,} of them frozen" if frozen else ""),
        ("MACs", with_prefix(plan.multiply_adds), "forward, each sample"),
        ("peak memory", peak, "beside interpreter and data set"),
    ]
    rows += [(f"  {name}", f"{size / 1e6:,.1f} MB", "") for name, size in plan.memory.items()]
    speed = plan.batch_size / plan.step_seconds
    rows.append(("step", seconds_text(plan.step_seconds), f"{speed:,.0f} samples/s"))
    if plan.epoch_seconds is not None:
        steps = f"{plan.steps:,} step{'' if plan.steps == 1 else 's'}, without validation"
        rows.append(("epoch", seconds_text(plan.epoch_seconds), steps))
    return rows


def notes(plan: TrainingPlan) -> list[str]:
    """Return the lines below the table."""
    if plan.tried == plan.batch_size:
        return []
    return [f"memory and time are extrapolated from batches of {plan.tried:,}"]


def seconds_text(seconds: float) -> str:
    """Return a time with three digits, in s, below 0.1 s in ms."""
    value, unit = (1e3 * seconds, "ms") if seconds < 0.0995 else (seconds, "s")
    digits = 0 if value >= 99.5 else 1 if value >= 9.95 else 2
    return f"{value:,.{digits}f} {unit}"


def plan(
    trainer: Trainer, batch_size: int, samples: int | None, in_shape: Any = None
) -> TrainingPlan:
    """Measure steps of a copy; see `Model.plan`."""
    shape = shape_for(trainer, in_shape, "Model.plan")
    with copy_of(trainer) as copied:
        batch = random_batch(copied, shape, 2)
        network = copied.network
        network.check_training(with_samples(shape, batch_size))
        rows = [row for row in rows_of(network) if not row.container]
        each = KEPT * sum(row.nbytes for row in rows)
        tried = batch_size
        while tried > 16 and tried * each > LARGEST:
            tried = -(-tried // 2)
        arena = copied.prepare()
        learned = {id(p): p for p in network.parameters().values()}.values()
        store, seconds, batch = measured(copied, shape, tried)
        if tried < batch_size:  # what does not grow with the batch is the same for half of it
            half = tried // 2
            growth = (store - measured(copied, shape, half, False)[0]) / (tried - half)
            store = int(store + growth * (batch_size - tried))
            seconds *= batch_size / tried
        nbytes = sum(leaf.nbytes for leaf in (*leaves(batch.x), *leaves(batch.y)))
        return TrainingPlan(
            batch_size, samples,
            parameters=sum(p.storage.size for p in learned),
            trainable=sum(p.storage.size for p in learned if not p._frozen),
            multiply_adds=sum(row.multiply_adds for row in rows),
            memory={
                "parameters": arena.values.nbytes,
                "gradients": arena.grads.nbytes,
                "optimizer": sum(array.nbytes for array in copied.state.values()),
                "activations": store,
                "batch": nbytes * batch_size // tried,
            },
            step_seconds=seconds,
            dtype=str(network.built_dtype),
            threads=get_num_threads(),
            tried=tried,
        )  # fmt: skip


def with_samples(shape: Any, samples: int) -> Any:
    """Return shapes with the batch axis."""
    return map_shapes(lambda one: (samples, *one), shape)


def measured(
    trainer: Trainer, shape: Any, samples: int, timed: bool = True
) -> tuple[int, float, Batch]:
    """Return the bytes that steps take from the store, the seconds of a step, and the batch."""
    batch = random_batch(trainer, shape, samples)
    arena, data = trainer.prepare(), repeated(batch, DATA if timed else 0)
    start = arena.values.copy()
    means = Means(trainer.loss, trainer.metrics)
    order = np.random.default_rng(0).permutation(data.samples)
    begins = itertools.cycle(range(0, data.samples, samples))

    def step() -> float:
        arena.values[...] = start  # the same step again: many on noise might diverge
        first, begin = next(begins), perf_counter()
        trainer.step([data.take(order[first : first + samples])], means)
        return perf_counter() - begin

    gc.collect()
    memory.release()
    for _ in range(4):  # workspaces differ with the threads that are free
        step()
    rounds = [mean_seconds(step) for _ in range(ROUNDS)] if timed else [0.0]
    store = memory.idle_memory()
    memory.release()  # else the plan would keep what the training may never need
    return store, median(rounds), batch


def repeated(batch: Batch, nbytes: int) -> DataSet:
    """Return a data set of at least this size: batches are not gathered from a cache."""
    times = 1 + nbytes // sum(leaf.nbytes for leaf in leaves(batch.x))
    x, y = (map_tree(lambda leaf: np.concatenate([leaf] * times), tree) for tree in batch[:2])
    return DataSet(x, y)


def mean_seconds(step: Callable[[], float]) -> float:
    """Return the mean time of steps."""
    times: list[float] = []
    while len(times) < 2 or (sum(times) < SECONDS and len(times) < STEPS):
        times.append(step())
    return sum(times) / len(times)
