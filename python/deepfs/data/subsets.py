"""Views of a data set: some of its samples, or all with preprocessed inputs. Nothing is copied."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from .._arrays import Array
from .._trees import Tree, map_tree
from .batches import Batch, DataSet

LOOKED_AT = 64  # samples that stand for all where shapes, dtype and axes are checked
OF_LOADER = ("class_names", "batch_size", "shuffle", "drop_last")


class OfAnother(DataSet):
    """Base of data sets that take their samples from another one."""

    def __init__(self, base: DataSet, samples: int) -> None:
        self.base, self.samples = base, samples

    def __getattr__(self, name: str) -> Any:
        if name in OF_LOADER:
            return getattr(self.base, name)
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def parts(self, size: int) -> Iterator[Batch]:
        """Yield the samples in their order, ``size`` at a time."""
        for start in range(0, self.samples, size):
            yield self.take(slice(start, start + size))

    def first(self) -> Tree:
        """Return the inputs of a few samples."""
        return self.take(slice(0, LOOKED_AT)).x


class Subset(OfAnother):
    """The samples of some numbers of another data set, in this order."""

    def __init__(self, base: DataSet, numbers: Array) -> None:
        super().__init__(base, len(numbers))
        self.numbers = numbers

    @property
    def preprocess(self) -> Any:  # type: ignore[override]
        """What the other data set has done to inputs."""
        return getattr(self.base, "preprocess", None)

    @property
    def y(self) -> Tree:  # type: ignore[override]
        """The targets of these samples, if they are known without reading all inputs."""
        every = getattr(self.base, "y", None)
        return None if every is None else map_tree(lambda leaf: leaf[self.numbers], every)

    @property
    def weight(self) -> Tree:  # type: ignore[override]
        """The weights of these samples, or None."""
        every = getattr(self.base, "weight", None)
        return None if every is None else map_tree(lambda leaf: leaf[self.numbers], every)

    def take(self, index: slice | Array, epoch: int | None = None, seed: int = 0) -> Batch:
        """Return the samples of a slice, or of an array of indices, in memory."""
        return taken(self.base, self.numbers[index], epoch, seed)

    def batches(
        self, picks: Iterable[slice | Array], epoch: int | None, seed: int = 0
    ) -> Iterator[Batch]:
        """Yield the samples of each slice or array of indices."""
        own = (self.numbers[pick] for pick in picks)
        return batches_of(self.base, own, epoch, seed)

    def shapes(self) -> dict[str, Any]:
        """Return the shapes, which a resumed run must find again."""
        known = self.base.shapes()
        own = {name: self._shorter(known[name]) for name in ("inputs", "targets")}
        return known | own

    def _shorter(self, shape: Any) -> Any:
        if shape and isinstance(shape[0], list):
            return [self._shorter(each) for each in shape]
        return [self.samples, *shape[1:]] if shape else shape

    def subset(self, numbers: Array) -> DataSet:
        """Return some of these samples."""
        return Subset(self.base, self.numbers[np.asarray(numbers)])


class Prepared(OfAnother):
    """A data set with preprocessed inputs."""

    def __init__(self, base: DataSet, preprocess: Any) -> None:
        super().__init__(base, base.samples)
        self.preprocess = preprocess

    @property
    def y(self) -> Tree:  # type: ignore[override]
        """The targets."""
        return getattr(self.base, "y", None)

    @property
    def weight(self) -> Tree:  # type: ignore[override]
        """The weights of the samples, or None."""
        return getattr(self.base, "weight", None)

    def take(self, index: slice | Array, epoch: int | None = None, seed: int = 0) -> Batch:
        """Return the samples of a slice, or of an array of indices, in memory."""
        return self._changed(taken(self.base, index, epoch, seed))

    def batches(
        self, picks: Iterable[slice | Array], epoch: int | None, seed: int = 0
    ) -> Iterator[Batch]:
        """Yield the samples of each slice or array of indices."""
        return map(self._changed, batches_of(self.base, picks, epoch, seed))

    def parts(self, size: int) -> Iterator[Batch]:
        """Yield the samples in their order, ``size`` at a time."""
        return map(self._changed, self.base.parts(size))

    def _changed(self, batch: Batch) -> Batch:
        return Batch(self.preprocess(batch.x), batch.y, batch.weight)

    def shapes(self) -> dict[str, Any]:
        """Return the shapes of the raw data, which a resumed run must find again."""
        return self.base.shapes()

    def subset(self, numbers: Array) -> DataSet:
        """Return some samples, preprocessed."""
        return Prepared(self.base.subset(numbers), self.preprocess)


def taken(base: DataSet, index: slice | Array, epoch: int | None, seed: int) -> Batch:
    """Return samples of a data set; one of the user's own may know no epochs."""
    return base.take(index) if epoch is None else base.take(index, epoch, seed)


def batches_of(
    base: DataSet, picks: Iterable[slice | Array], epoch: int | None, seed: int
) -> Iterator[Batch]:
    """Yield batches of a data set, which may read ahead."""
    if hasattr(base, "batches"):
        return base.batches(picks, epoch, seed)
    return (taken(base, pick, epoch, seed) for pick in picks)


def unprepared(data: DataSet) -> DataSet:
    """Return a data set with raw inputs: without the preprocessing that it has."""
    if getattr(data, "preprocess", None) is None:
        return data
    if isinstance(data, Prepared):
        return unprepared(data.base)
    if isinstance(data, Subset):
        return Subset(unprepared(data.base), data.numbers)
    plain = copy.copy(data)  # a loader
    vars(plain)["preprocess"] = None
    return plain
