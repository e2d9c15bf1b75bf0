"""Evaluation on all ranks, which take turns at the parts of a data set."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from ..data.batches import Batch, DataSet, batches_of, ended
from .world import World

T = TypeVar("T")


def rounds(
    world: World,
    data: DataSet,
    size: int,
    stopped: Callable[[], bool],
    measure: Callable[[Batch], T],
) -> Iterator[T]:
    """Yield what ``measure`` returns for each part of ``size`` samples, in their order.

    In a round each rank measures one part, and all ranks get all results: so sums over them have
    the bits of one process. ``stopped`` is asked once for each part; the end is there for all ranks
    when one says so.
    """
    starts = range(0, data.samples, size)
    mine = (slice(start, start + size) for start in starts[world.rank :: world.size])
    with ended(batches_of(data, mine, None, 0)) as read:
        for first in range(0, len(starts), world.size):
            found: T | None = None
            with world.guard():
                stops = [stopped() for _ in starts[first : first + world.size]]
                if world.rank < len(stops) and not stops[world.rank]:
                    found = measure(next(read))
            every = world.share((stops, found))
            for at in range(len(stops)):
                value = every[at][1]
                if value is None or any(each[0][at] for each in every):
                    return
                yield value
