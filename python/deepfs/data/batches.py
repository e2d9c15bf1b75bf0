"""Batches of a data set in memory or on disk, and batches that an iterable yields."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

import numpy as np

from .._arrays import Array
from .._check import number
from .._trees import Tree, leaves, map_tree
from .._warn import warn
from .containers import as_data

T = TypeVar("T")
LOOKED_AT = 64  # samples that stand for all where shapes, dtype and axes are checked
OF_LOADER = ("class_names", "batch_size", "shuffle", "drop_last")


class Batch(NamedTuple):
    """Inputs and targets of some samples, and a weight of each sample or None."""

    x: Tree
    y: Tree
    weight: Tree = None

    def __len__(self) -> int:
        return samples_of(self.x)


def samples_of(tree: Tree) -> int:
    """Return the number of samples: the length of the first array of a tree."""
    return len(next(leaves(tree)))


@contextmanager
def ended(batches: Iterator[T]) -> Iterator[Iterator[T]]:
    """End what yields batches with the ``with`` block: a thread that reads ahead ends with it."""
    try:
        yield batches
    finally:
        if hasattr(batches, "close"):
            batches.close()


class DataSet:
    """Samples that are picked by number: arrays, or arrays that are read by slices.

    Attributes
    ----------
    preprocess : Preprocess or None
        What `take` and `parts` have done to the inputs; None: nothing, it is left to the model.
    """

    preprocess: Any = None

    def __init__(self, x: Tree, y: Tree, weight: Tree = None) -> None:
        self.x, self.y, self.weight = x, y, weight
        self.samples = samples_of(x)

    def take(self, index: slice | Array, epoch: int | None = None, seed: int = 0) -> Batch:
        """Return the samples of a slice, or of an array of indices, in memory.

        An epoch of a run, and its seed, ask for what training changes: a `Loader` augments.
        """

        def pick(data: Any) -> Array:
            part: Array = data[index]
            return part

        weight = None if self.weight is None else map_tree(pick, self.weight)
        return Batch(map_tree(pick, self.x), map_tree(pick, self.y), weight)

    def batches(
        self, picks: Iterable[slice | Array], epoch: int | None, seed: int = 0
    ) -> Iterator[Batch]:
        """Yield the samples of each slice or array of indices; see `take`."""
        return (self.take(pick, epoch, seed) for pick in picks)

    def parts(self, size: int) -> Iterator[Batch]:
        """Yield the samples in their order, ``size`` at a time."""
        for start in range(0, self.samples, size):
            yield self.take(slice(start, start + size))

    def shapes(self) -> dict[str, list[Any]]:
        """Return the shapes, which a resumed run must find again."""
        return {
            "inputs": shapes_of(self.x),
            "targets": shapes_of(self.y),
        }

    def first(self) -> Tree:
        """Return inputs, or some of them, whose shapes and dtype are those that a network gets."""
        return self.x

    def subset(self, numbers: Array) -> DataSet:
        """Return the samples of these numbers as a data set, without copying them."""
        return Subset(self, numbers)

    def prepared(self, preprocess: Any) -> DataSet:
        """Return a data set with preprocessed inputs, which does not change this one."""
        return Prepared(self, preprocess)


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
    def preprocess(self) -> Any:
        """What the other data set has done to inputs."""
        return getattr(self.base, "preprocess", None)

    @property
    def y(self) -> Tree:
        """The targets of these samples, if they are known without reading all inputs."""
        every = getattr(self.base, "y", None)
        return None if every is None else map_tree(lambda leaf: leaf[self.numbers], every)

    @property
    def weight(self) -> Tree:
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
    def y(self) -> Tree:
        """The targets."""
        return getattr(self.base, "y", None)

    @property
    def weight(self) -> Tree:
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


def shapes_of(tree: Tree) -> list[Any]:
    """Return the shape of an array as a list, or a list of those of a tree."""
    if isinstance(tree, (tuple, dict)):
        return [list(leaf.shape) for leaf in leaves(tree)]
    return list(tree.shape)


class Stream:
    """Batches of an iterable: ``(inputs, targets)`` or ``(inputs, targets, sample weights)``.

    An iterable that can be started anew, such as a list or a loader, gives an epoch each time. An
    iterator, such as a generator, goes on where it stopped, and needs the number of steps.
    """

    def __init__(
        self,
        source: Iterable[Any],
        steps_per_epoch: int | None,
        form: tuple[Tree, Tree],
        preprocess: Any = None,
    ) -> None:
        self.source, self.steps, self.form = source, steps_per_epoch, form
        self.preprocess = preprocess
        self.samples: int | None = None  # of an epoch
        self.iterator: Iterator[Any] | None = None
        self.first: Batch | None = None  # looked at before the first step, not used yet
        self.ended = False
        if isinstance(source, Iterator):
            self.iterator = source
            if steps_per_epoch is None:
                raise ValueError(
                    f"fit needs steps_per_epoch for the iterator {type(source).__name__}, which "
                    "has no end that it knows of"
                )

    def shapes(self) -> dict[str, None]:
        """Return that nothing is known of the shapes to come."""
        return {"inputs": None, "targets": None}

    def look(self) -> Batch:
        """Return the first batch, which the first epoch will start with.

        Raises
        ------
        ValueError
            If there is none.
        """
        if self.first is None:
            if self.iterator is None:
                self.iterator = iter(self.source)
            self.first = self._next()
            if self.first is None:
                raise ValueError(f"fit needs at least 1 batch, got none from {_name(self.source)}")
        return self.first

    def epoch(self) -> Iterator[Batch]:
        """Yield the batches of one epoch."""
        if self.iterator is None or (self.first is None and not isinstance(self.source, Iterator)):
            self.iterator = iter(self.source)
        count = 0
        while self.steps is None or count < self.steps:
            batch, self.first = self.first or self._next(), None
            if batch is None:
                break
            yield batch
            count += 1
        if self.steps is not None and count < self.steps:
            self.ended = isinstance(self.source, Iterator)
            warn(
                f"{_name(self.source)} ended after {count} of {self.steps} batches of an epoch"
                + (": the training ends here" if self.ended else "")
            )

    def _next(self) -> Batch | None:
        assert self.iterator is not None
        given = next(self.iterator, None)
        if given is None:
            return None
        batch = as_batch(given, self.form, _name(self.source))
        if self.preprocess is None:
            return batch
        return Batch(self.preprocess(batch.x), batch.y, batch.weight)


def as_batch(given: Any, form: tuple[Tree, Tree], source: str) -> Batch:
    """Return what an iterable yields as a batch of arrays in memory."""
    if not isinstance(given, (tuple, list)) or len(given) not in (2, 3):
        kind = type(given).__name__
        if hasattr(given, "shape"):
            kind += f" of shape {tuple(given.shape)}"
        elif isinstance(given, Sequence):
            kind += f" of {len(given)}"
        raise TypeError(
            f"{source} must yield batches (inputs, targets) or (inputs, targets, sample weights), "
            f"got {kind}"
        )
    x, y = as_data(given[0], "inputs", form[0]), as_data(given[1], "targets", form[1])
    weight = as_data(given[2], "sample weights") if len(given) == 3 else None
    counts = {len(leaf) if leaf.ndim else 0 for leaf in (*leaves(x), *leaves(y))}
    if len(counts) != 1 or counts == {0}:
        raise ValueError(
            f"{source} must yield batches of as many targets as inputs, at least 1, got inputs of "
            f"shape {tuple(shapes_of(x))} and targets of shape {tuple(shapes_of(y))}"
        )
    in_memory = DataSet(x, y, weight).take(slice(None))
    return Batch(*in_memory)


def _name(source: Any) -> str:
    return type(source).__name__


def weighted_by_class(y: Tree, class_weight: Any) -> Array:
    """Return the weight of each label, from a dict of weights by label; others have 1.

    Raises
    ------
    TypeError, ValueError
        If targets are not labels, or weights are not numbers of at least 0 for labels that occur.
    """
    if isinstance(y, (tuple, dict)) or y.dtype.kind not in "iu":
        raise TypeError("class_weight needs targets that are integer labels: use sample_weight")
    if not isinstance(class_weight, dict):
        raise TypeError(
            f"class_weight must be a dict of weights by label, as {{0: 1.0, 1: 5.0}}, "
            f"got {class_weight!r:.80}"
        )
    labels = np.asarray(y[:])
    weight = np.ones(labels.shape)
    for label, value in class_weight.items():
        there = labels == label
        if isinstance(label, bool) or not isinstance(label, (int, np.integer)) or not there.any():
            raise ValueError(f"class_weight must be for labels of the targets, got {label!r}")
        weight[there] = number(value, f"class_weight[{label!r}]", "[0, inf)")
    return weight
