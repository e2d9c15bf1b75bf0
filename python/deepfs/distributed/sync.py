"""Shards in step: all of them run to a point where they exchange something, and then go on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextvars import copy_context
from typing import Any

from .._arrays import Array
from ..layers import BatchNorm, Layer
from ..layers._container import walk
from .world import World

Exchange = Callable[[Any], list[Any]]


class Shifts:
    """Run the shards of this rank in turns, one at a time, each in a thread of its own.

    A shard runs until it calls `exchange`, and waits there for the others, on all ranks. What all
    of them write to, as gradients, is put aside with each change of turns.

    Parameters
    ----------
    world : World
        The ranks.
    tasks : sequence of function
        What to run, one for each shard.
    arrays : sequence of array
        What all of them write to.
    """

    def __init__(
        self, world: World, tasks: Sequence[Callable[[], Any]], arrays: Sequence[Array]
    ) -> None:
        self.world, self.arrays = world, arrays
        self.shifts = [Shift(task) for task in tasks]
        self.kept = [[array.copy() for array in arrays] for _ in tasks]
        self.now = self.shifts[0]

    def exchange(self, value: Any) -> list[Any]:
        """Return the values of all shards, in their order; called by the shard whose turn it is."""
        return self.now.wait(value)

    def run(self) -> list[Any]:
        """Return the results of all tasks."""
        try:
            while True:
                for shift, kept in zip(self.shifts, self.kept, strict=True):
                    self.now = shift
                    for array, own in zip(self.arrays, kept, strict=True):
                        array[...] = own
                    shift.turn()
                    for array, own in zip(self.arrays, kept, strict=True):
                        own[...] = array
                if all(shift.done for shift in self.shifts):
                    return [shift.value for shift in self.shifts]
                every = self.world.share([shift.value for shift in self.shifts])
                found = [value for values in every for value in values]
                for shift in self.shifts:
                    shift.value = found
        finally:
            for shift in self.shifts:
                shift.close()


class Closed(BaseException):
    """Ends the thread of a shard that will not get another turn."""


class Shift:
    """A task in a thread that runs only while the caller of `turn` waits for it."""

    def __init__(self, task: Callable[[], Any]) -> None:
        self.value: Any = None  # what it gives, or what it is given
        self.done = self.closed = False
        self.error: BaseException | None = None
        self.task, self.mine, self.theirs = task, threading.Semaphore(0), threading.Semaphore(0)
        context = copy_context()
        self.thread = threading.Thread(target=context.run, args=(self._run,), daemon=True)
        self.thread.start()

    def _run(self) -> None:
        self.mine.acquire()
        try:
            if not self.closed:
                self.value = self.task()
        except Closed:
            pass
        except BaseException as error:
            self.error = error
        self.done = True
        self.theirs.release()

    def turn(self) -> None:
        """Let the task run to its next exchange or its end; raise its error."""
        self.mine.release()
        self.theirs.acquire()
        if self.error is not None:
            raise self.error

    def wait(self, value: Any) -> Any:
        """Give a value and end the turn; return what is given at the next one."""
        self.value = value
        self.theirs.release()
        self.mine.acquire()
        if self.closed:
            raise Closed
        return self.value

    def close(self) -> None:
        """End the thread."""
        self.closed = True
        self.mine.release()
        self.thread.join()


def in_step(
    world: World,
    network: Layer,
    tasks: Sequence[Callable[[], Any]],
    arrays: Sequence[Array],
) -> list[Any]:
    """Run a task for each shard of this rank, whose batch norms have joint statistics."""
    shifts = Shifts(world, tasks, arrays) if len(tasks) > 1 else None
    exchange: Exchange = world.share if shifts is None else shifts.exchange
    layers = [layer for _, layer, _ in walk(network, "", network.in_shape or ())]
    norms = [layer for layer in layers if isinstance(layer, BatchNorm)]
    try:
        for norm in norms:
            vars(norm)["across"] = exchange
        return [tasks[0]()] if shifts is None else shifts.run()
    finally:
        for norm in norms:
            vars(norm)["across"] = None
