"""Loader: batches of any source, read ahead, converted, augmented and preprocessed."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from .. import preprocessing
from .._arrays import Array
from .._check import flag, whole
from .._settings import ExplainedSettings, Settings
from .._trees import Tree, map_tree
from ..augment import Pipeline, pipeline
from ..datasets.folder import ImageFolder, checked_names
from ..random import Random
from .batches import Batch, DataSet, shapes_of
from .prefetch import ahead
from .sources import Raw, Source, source_of
from .views import View

PLAIN = Pipeline(None)  # changes nothing, but gathers and converts


@dataclass(repr=False)
class Loader(ExplainedSettings, DataSet):
    """Batches of a data set: `Model.fit`, `evaluate` and `predict` take it in place of arrays.

    A source that is not in memory is read one batch ahead, in a background thread, while a step
    runs.

    Parameters
    ----------
    source : see below
        ``(inputs, targets)`` or ``(inputs, targets, weights)``: arrays, memory-mapped files, arrays
        that are read by slices (h5py); inputs alone, to predict. A path: a folder of pictures
        with a subfolder for each class, an ``.npz``, ``.csv`` or CIFAR file; a pair of paths: IDX
        or ``.npy`` files of inputs and targets. `datasets.from_directory`. Anything with
        ``__len__`` and ``__getitem__`` whose samples are ``(input, target)``, such as a ``Dataset``
        of PyTorch or torchvision.
    batch_size : int
        Samples per batch; the last one of an epoch may be smaller.
    shuffle : bool
        Use a new random order in each epoch. Evaluation and prediction keep that of the source.
    augment : augmentation or sequence of these, optional
        Random changes of training images, see `deepfs.augment`. Not in evaluation.
    preprocess : preprocessing, optional
        Applied to every batch, see `deepfs.preprocessing`. `fit` fits it to the training data and
        hands it to the model, if that has none.
    drop_last : bool
        Leave out the last batch of an epoch if it is smaller than the others.
    class_names : sequence of str, optional
        Names of the classes, by default those of the source. `fit` hands them to the model.

    Attributes
    ----------
    samples : int
        Number of samples; ``len`` is the number of batches of an epoch.
    x, y
        Inputs and targets as arrays that are read by slices.

    Raises
    ------
    TypeError, ValueError
        If the source is none, is empty, or an argument is of the wrong kind.
    OSError
        If files are not there.

    Notes
    -----
    Pictures are numbers from 0 to 1, as torchvision's ``ToTensor`` makes them and as ``deepfs
    predict`` takes them; arrays keep their values.

    The order of an epoch is a function of the seed and the epoch, an augmentation one of the seed,
    the epoch and the number of the sample: a run that is resumed in mid-epoch has the same bits.

    Examples
    --------
    >>> import deepfs as dfs
    >>> x, y = np.arange(10.0).reshape(5, 2), np.array([0, 1, 0, 1, 1])
    >>> loader = dfs.data.Loader((x, y), batch_size=2, shuffle=False)
    >>> len(loader), loader.samples, [len(labels) for _, labels in loader]
    (3, 5, [2, 2, 1])
    """

    source: Any
    batch_size: int = 32
    shuffle: bool = True
    augment: Any = field(default=None, kw_only=True)
    preprocess: Any = field(default=None, kw_only=True)
    drop_last: bool = field(default=False, kw_only=True)
    class_names: Sequence[str] | None = field(default=None, kw_only=True)

    _instead: ClassVar = {
        "dataset": "it is called 'source' here",
        "num_workers": "one thread reads ahead, the kernels use all threads",
        "pin_memory": "leave it out: there is no other device",
        "collate_fn": "samples are stacked; make other batches in a generator for fit(batches)",
        "sampler": "Loader.subset(numbers) picks samples",
        "transform": "it is called 'augment' here",
        "item_tfms": "give image_size to datasets.from_directory",
        "batch_tfms": "it is called 'augment' here",
        "bs": "it is called 'batch_size' here",
    }

    def __post_init__(self) -> None:
        self.source: Source = source_of(self.source)
        self.batch_size = whole(self.batch_size, "batch_size")
        self.shuffle = flag(self.shuffle, "shuffle")
        self.drop_last = flag(self.drop_last, "drop_last")
        self.class_names = (
            self.source.class_names if self.class_names is None else checked_names(self.class_names)
        )
        known = self.source.class_names
        if known is not None and len(self.class_names or ()) != len(known):
            raise ValueError(
                f"class_names must be {len(known)}, one for each of {', '.join(known)}, got "
                f"{len(self.class_names or ())}"
            )
        self.preprocess = preprocessing.get(self.preprocess)
        self.pipeline = pipeline(self.augment)
        for name in ("augment", "preprocess"):
            if getattr(self, name) is not None and not is_one(self.source.shape):
                raise ValueError(f"{name}= needs inputs that are one array, got several")
        if len(self.pipeline):
            self.pipeline.check(self.source.shape)
        self.numbers: Array | None = None  # those of the source's samples that are taken
        self.factors: Array | None = None  # of the weights of the source's samples
        self.classes: int | None = None  # of the network that is trained
        self.own_random: Random | None = None  # of iterations outside of `fit`

    @property
    def samples(self) -> int:  # type: ignore[override]
        """Number of samples."""
        return len(self.source) if self.numbers is None else len(self.numbers)

    def __len__(self) -> int:
        rest = 0 if self.drop_last else self.batch_size - 1
        return (self.samples + rest) // self.batch_size

    def __iter__(self) -> Iterator[Any]:
        """Yield ``(inputs, targets)`` of an epoch, and weights if there are any.

        Each iteration is another epoch. Without targets, inputs are yielded alone.
        """
        if self.own_random is None:
            self.own_random = Random()
        random = self.own_random
        epoch, order = random.calls, random.permutation(self.samples)
        if not self.shuffle:
            order = np.arange(self.samples)
        starts = range(0, min(len(self) * self.batch_size, self.samples), self.batch_size)
        picks = (order[start : start + self.batch_size] for start in starts)
        for x, y, weight in self.batches(picks, epoch, random.seed + random.stream):
            if y is None:
                yield x
            else:
                yield (x, y) if weight is None else (x, y, weight)

    def take(self, index: slice | Array, epoch: int | None = None, seed: int = 0) -> Batch:
        """Return some samples; augmented as in an epoch of a run, if one is given."""
        numbers = self._numbers_of(index)
        return self._made(self.source.read(numbers), numbers, epoch, seed)

    def batches(
        self, picks: Iterable[slice | Array], epoch: int | None, seed: int = 0
    ) -> Iterator[Batch]:
        """Yield the batches of an epoch; a thread reads the next one meanwhile.

        The thread only reads and decodes. What the kernels do stays here: two threads that run
        kernels would have a pool of threads each, more than there are cores.
        """
        if self.source.in_memory:
            for pick in picks:
                yield self.take(pick, epoch, seed)
            return

        def read(pick: slice | Array) -> tuple[Raw, Array]:
            numbers = self._numbers_of(pick)
            return self.source.read(numbers), numbers

        with closing(ahead(read, picks)) as reader:
            for raw, numbers in reader:
                yield self._made(raw, numbers, epoch, seed)

    def parts(self, size: int) -> Iterator[Batch]:
        """Yield the samples in their order, not augmented."""
        starts = range(0, self.samples, size)
        return self.batches((slice(start, start + size) for start in starts), None)

    def subset(self, numbers: Array) -> Loader:
        """Return a loader of some of the samples, by their numbers."""
        part = copy.copy(self)
        vars(part)["numbers"] = self._numbers_of(np.asarray(numbers))
        return part

    def for_outputs(self, shape: Any) -> Loader:
        """Return a loader that mixes labels to as many probabilities as a network has outputs."""
        part = copy.copy(self)
        vars(part)["classes"] = shape[0] if is_one(shape) and shape else None
        return part

    def weighted(self, factor: Array) -> Loader:
        """Return a loader with a factor of the weight of each sample."""
        part, factors = copy.copy(self), np.ones(len(self.source))
        factors[self._numbers_of(slice(None))] = factor
        vars(part)["factors"] = factors
        return part

    def prepared(self, preprocess: Any) -> Loader:
        """Return a loader with a preprocessing, which becomes a part of its kernel."""
        part = copy.copy(self)
        vars(part)["preprocess"] = preprocess
        return part

    def first(self) -> Tree:
        """Return the inputs of the first sample, as the network gets them."""
        return self.take(np.zeros(1, np.int64)).x

    @property
    def x(self) -> Tree:
        """The inputs as the model gets them, read when they are indexed."""
        example = self.take(np.zeros(1, np.int64)).x
        if is_one(self.source.shape):
            return self._view(example, lambda batch: batch.x)
        if isinstance(example, dict):
            return {name: self._view(leaf, self._part(name)) for name, leaf in example.items()}
        return tuple(self._view(leaf, self._part(i)) for i, leaf in enumerate(example))

    @property
    def y(self) -> Tree:
        """The targets: arrays where they are known, else read when they are indexed; or None."""
        if self.source.targets is not None:
            if self.numbers is None:
                return self.source.targets
            return map_tree(lambda leaf: leaf[self.numbers], self.source.targets)
        if self.source.target_shapes is None:
            return None
        return self._view(self.take(np.zeros(1, np.int64)).y, lambda batch: batch.y)

    @property
    def weight(self) -> Tree:
        """The weights of the samples, or None."""
        known = self.source.weight
        if self.factors is not None:
            known = self.factors if known is None else known * self.factors
        if known is None or self.numbers is None:
            return known
        return map_tree(lambda leaf: leaf[self.numbers], known)

    @staticmethod
    def _part(key: Any) -> Callable[[Batch], Array]:
        """Return the function that gets one of several inputs."""
        return lambda batch: batch.x[key]

    def _view(self, example: Array, pick: Callable[[Batch], Array]) -> View:
        shape = (self.samples, *example.shape[1:])
        return View(lambda numbers: pick(self.take(numbers)), shape, example.dtype)

    def shapes(self) -> dict[str, Any]:
        """Return what a resumed run must find again."""
        augment, preprocess = described(self.augment), described(self.preprocess)
        here = self.source.describe() | {"augment": augment, "preprocess": preprocess}
        return {
            "inputs": shapes_of(self.x),
            "targets": None if self.y is None else shapes_of(self.y),
            "loader": here,
        }

    def _numbers_of(self, index: slice | Array) -> Array:
        """Return the numbers that samples have in the source."""
        if self.numbers is not None:
            return self.numbers[index]
        return np.arange(len(self.source))[index] if isinstance(index, slice) else index

    def _made(self, raw: Raw, numbers: Array, epoch: int | None, seed: int) -> Batch:
        """Return what was read as a batch for the model."""
        x, y, weight = self._inputs(raw, numbers, epoch, seed), raw.y, raw.weight
        if self.factors is not None:
            weight = self.factors[numbers] if weight is None else weight * self.factors[numbers]
        if epoch is not None and self.pipeline.resizing is not None:
            x = self.pipeline.resize(x, epoch)
        if epoch is not None and self.pipeline.mixes:
            x, y, weight = self.pipeline.mix(
                x, y, weight, numbers, epoch, seed, self.classes or self._number_of_classes()
            )
        return Batch(x, y, weight)

    def _inputs(self, raw: Raw, numbers: Array, epoch: int | None, seed: int) -> Tree:
        """Return inputs: gathered, augmented if an epoch is given, preprocessed."""
        source, x, picks = self.source, raw.x, raw.picks
        pipeline = PLAIN if epoch is None else self.pipeline
        if not len(pipeline) and source.scale is None and self.preprocess is None:
            return x if picks is None else x[picks]
        scale: Any = source.scale
        shift, rest = None, self.preprocess
        affine = None if rest is None else rest.affine(source.shape)
        if affine is not None:
            (factor, shift), rest = affine, None
            scale = factor if scale is None else scale * factor
        dtype = np.float64 if source.dtype == np.float64 else np.float32
        picks = np.arange(len(x)) if picks is None else picks
        x = pipeline.images(x, picks, numbers, epoch or 0, seed, scale, shift, dtype)
        return x if rest is None else rest(x)

    def _number_of_classes(self) -> int | None:
        """Return the number of classes, if their names or all labels are known."""
        if self.class_names is not None:
            return len(self.class_names)
        labels = self.source.targets
        if isinstance(labels, np.ndarray) and labels.dtype.kind in "iu":
            return int(labels.max()) + 1
        return None


def is_one(shape: Any) -> bool:
    """Return whether this is the shape of one array."""
    return isinstance(shape, tuple) and not any(isinstance(part, tuple) for part in shape)


def described(value: Any) -> Any:
    """Return an augmentation or a preprocessing in words that another process understands."""
    if isinstance(value, (list, tuple)):
        return [described(each) for each in value]
    if value is None or isinstance(value, Settings):
        return None if value is None else repr(value)
    named = value if hasattr(value, "__qualname__") else type(value)  # other reprs have addresses
    return f"{named.__module__}.{named.__qualname__}"


def as_loader(given: Any, batch_size: int | None = None) -> Loader | None:
    """Return a `Loader`, or one of an `ImageFolder`; None for other data."""
    if isinstance(given, ImageFolder):
        given = Loader(given)
    if not isinstance(given, Loader):
        return None
    if batch_size is not None and batch_size != given.batch_size:
        given = copy.copy(given)
        given.batch_size = batch_size
    return given
