"""Shards: the parts of each batch, whose gradients are added in their order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from math import gcd
from typing import Any, NamedTuple

import numpy as np

from .._arrays import Array, ignore_overflow
from .._check import flag, whole
from .._trees import Tree
from ..data.batches import Batch, DataSet
from ..layers import Layer
from ..layers._container import walk
from ..layers._random import RandomLayer
from .fingerprint import of_batch
from .launch import world
from .world import World

ODD = 0x9E3779B97F4A7C15  # 2**64 over the golden ratio: seeds of shards lie far apart


class Part(NamedTuple):
    """One shard of a batch: its number, that of its first sample in the batch, its samples."""

    shard: int
    first: int
    batch: Batch


class Cut(NamedTuple):
    """A batch of ``samples``, cut into shards: those of this rank that are not empty."""

    samples: int
    parts: tuple[Part, ...]
    fingerprint: int = 0  # of the whole batch, if an iterable yields it

    def __len__(self) -> int:
        return self.samples


class Shard(NamedTuple):
    """What all ranks know of a shard that one of them has computed."""

    samples: int
    share: float  # factor of its gradient
    sums: Array  # of the loss
    divisors: Array
    outputs: Tree
    targets: Tree
    buffers: list[Array]


class Shards:
    """How each batch is cut into ``count`` shards, and which of them belong to this rank.

    The shards of a rank follow each other. Nothing in a shard's computation depends on the rank: so
    any number of ranks that divides ``count`` gives the bits of one process.

    Parameters
    ----------
    count : int
        Number of shards.
    world : World
        The ranks, whose number divides ``count``.
    sync : bool
        Whether batch norm has the statistics of all shards together.
    """

    def __init__(self, count: int, world: World, sync: bool = False) -> None:
        self.count, self.world, self.sync = count, world, sync
        self.each = count // world.size
        self.own = range(world.rank * self.each, (world.rank + 1) * self.each)

    @classmethod
    def of(cls, count: Any, sync: bool, batch_size: int | None) -> Shards:
        """Return the shards that the arguments of `fit` ask for, on the ranks of this process.

        Raises
        ------
        TypeError, ValueError
            If their number is none, not a multiple of that of the ranks, or above the batch size.
        """
        group = world()
        size = group.size
        count = size if count is None else whole(count, "shards")
        sync = flag(sync, "sync_batch_norm")
        if count % size:
            raise ValueError(
                f"shards must be a multiple of the {size} ranks of mpiexec, got shards={count}; "
                f"give shards={-(-count // size) * size}, or mpiexec -n {gcd(count, size)}"
            )
        if batch_size is not None and count > batch_size:
            raise ValueError(
                f"shards must be at most batch_size={batch_size}, so that none is empty, got "
                f"{f'shards={count}' if size < count else f'{size} ranks'}"
            )
        return cls(count, group, sync)

    def bounds(self, samples: int) -> list[tuple[int, int]]:
        """Return where the shards of a batch begin and end; the first ones have a sample more."""
        least, more = divmod(samples, self.count)
        ends = accumulate((least + (shard < more) for shard in range(self.count)), initial=0)
        return [*pairwise(ends)]

    def least(self, samples: int) -> int:
        """Return the samples that the statistics of a batch norm have at least, in such a batch.

        Raises
        ------
        ValueError
            If a shard has none, and takes part in statistics of all.
        """
        if not self.sync:
            return max(1, samples // self.count)
        if samples < self.count:
            raise ValueError(
                f"sync_batch_norm needs a sample in each of {self.count} shards, got {samples}"
            )
        return samples

    def mine(self, samples: int) -> list[tuple[int, int, int]]:
        """Return number, begin and end of the shards of this rank that have samples."""
        bounds = self.bounds(samples)
        return [(shard, *bounds[shard]) for shard in self.own if bounds[shard][0] < samples]

    def cut(self, batch: Batch) -> Cut:
        """Return the shards of a batch in memory."""
        self.least(len(batch))
        data = DataSet(*batch)
        parts = (
            Part(shard, start, data.take(slice(start, stop)))
            for shard, start, stop in self.mine(len(batch))
        )
        seen = of_batch(batch) if self.world.size > 1 else 0
        return Cut(len(batch), tuple(parts), seen)

    def share(self, cut: Cut, mine: list[Shard]) -> list[Shard]:
        """Return all shards of a batch in their order, given those of this rank.

        Raises
        ------
        ValueError
            If the ranks have different batches.
        """
        every = self.world.share((cut.samples, cut.fingerprint, mine))
        if len({each[:2] for each in every}) > 1:
            self.world.refuse(
                ValueError("an iterable must yield the same batches on all ranks, got others")
            )
        return [shard for each in every for shard in each[2]]

    def picks(self, order: Array, starts: range, size: int) -> Iterator[Array]:
        """Yield the numbers of the samples of each shard of this rank, batch after batch."""
        for start in starts:
            batch = order[start : start + size]
            for _, first, last in self.mine(len(batch)):
                yield batch[first:last]

    def cuts(self, read: Iterator[Batch], samples: int, starts: range, size: int) -> Iterator[Cut]:
        """Yield batches of what is read for `picks`, of an order of ``samples``."""
        for start in starts:
            count = min(size, samples - start)
            yield Cut(count, tuple(Part(shard, first, next(read))
                                   for shard, first, _ in self.mine(count)))  # fmt: skip


class GradientSum:
    """The sum of the gradients of shards, in their order, whichever rank computes them.

    Each rank adds one piece of the gradients of all shards, and gets the other pieces of the sum.
    Its arrays serve all steps: to allocate large ones takes longer than to send them.

    Parameters
    ----------
    shards : Shards
        How batches are cut.
    grads : array (parameters,)
        Where the gradient of each shard is found, and the sum is put.
    """

    def __init__(self, shards: Shards, grads: Array) -> None:
        self.shards, self.grads, self.begun = shards, grads, False
        ranks, rank = shards.world.size, shards.world.rank
        piece = -(-grads.size // ranks)
        self.counts = [max(0, min(piece, grads.size - at * piece)) for at in range(ranks)]
        self.total = np.empty(self.counts[rank], grads.dtype)
        # the gradients of this rank's shards; of a single one, they are sent from where they are
        self.own = [grads]
        if ranks > 1 and shards.each > 1:
            self.own = [np.empty_like(grads) for _ in range(shards.each)]
        # of each of their numbers, the pieces of all ranks
        rows = shards.each if ranks > 1 else 0
        self.pieces = np.empty((rows, ranks, self.counts[rank]), grads.dtype)

    def begin(self) -> None:
        """Start the sum of a step."""
        self.begun = False

    def put(self, shard: int) -> None:
        """Take the gradient of a shard."""
        if not len(self.pieces):
            self._add(self.grads)
        elif len(self.own) > 1:
            self.own[shard - self.shards.own.start][...] = self.grads

    def exchange(self, shards: int) -> None:
        """Add the gradients of one batch, whose first so many shards have samples."""
        for own, found in zip(self.own, self.pieces, strict=False):
            self.shards.world.deal(own, self.counts, found)
        for shard in range(shards if len(self.pieces) else 0):
            rank, number = divmod(shard, self.shards.each)
            self._add(self.pieces[number, rank])

    def _add(self, gradient: Array) -> None:
        if self.begun:
            with ignore_overflow():
                np.add(self.total, gradient, out=self.total)
        else:
            self.total[...], self.begun = gradient, True

    def finish(self) -> None:
        """Put the sum where the gradient of each shard was."""
        if len(self.pieces):
            self.shards.world.collect(self.total, self.counts, self.grads)
        else:
            self.grads[...] = self.total


class Buffers:
    """The buffers of a network in a step: each shard starts from those before the batch.

    After a batch, floating-point buffers, such as running statistics, are the means over its
    samples of what the shards made of them; others, such as counts, are those of the first shard.

    Parameters
    ----------
    network : Layer
        The network, which is built.
    buffers : sequence of array
        Its buffers.
    """

    def __init__(self, network: Layer, buffers: Sequence[Array]) -> None:
        self.buffers = buffers
        layers = (layer for _, layer, _ in walk(network, "", network.in_shape or ()))
        self.keys = {id(each.buffered["key"]) for each in layers if isinstance(each, RandomLayer)}
        self.before: list[Array] = []

    def begin(self) -> None:
        """Note the buffers before a batch."""
        self.before = [buffer.copy() for buffer in self.buffers]

    def enter(self, shard: int) -> None:
        """Set the buffers for a shard: random layers draw by its number."""
        for buffer, before in zip(self.buffers, self.before, strict=True):
            buffer[...] = before
            if shard and id(buffer) in self.keys:
                buffer[0] = (int(before[0]) + shard * ODD) % 2**63

    def leave(self) -> list[Array]:
        """Return the buffers after a shard."""
        return [buffer.copy() for buffer in self.buffers]

    def end(self, found: Sequence[tuple[int, list[Array]]]) -> None:
        """Set the buffers after a batch, given the samples and the buffers of all shards."""
        samples = sum(count for count, _ in found)
        for number, (buffer, before) in enumerate(zip(self.buffers, self.before, strict=True)):
            if buffer.dtype.kind != "f":
                buffer[...] = before if id(buffer) in self.keys else found[0][1][number]
                continue
            change: Any = 0.0  # exactly 0 for what no shard has changed
            for count, buffers in found:
                change = change + count * (buffers[number].astype(np.float64) - before)
            buffer[...] = before + change / samples
