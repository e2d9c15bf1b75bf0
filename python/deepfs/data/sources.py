"""Sources of samples: arrays in memory, arrays read by slices, folders, data sets of samples."""

from __future__ import annotations

from abc import ABC, abstractmethod
from hashlib import sha256
from typing import Any, NamedTuple

import numpy as np

from .._arrays import Array
from .._trees import Tree, leaves, map_tree
from ..datasets.folder import ImageFolder, checked_names
from .batches import Batch, DataSet, samples_of, shapes_of
from .containers import Lazy, as_data

TO_UNIT = 1 / 255  # pictures of 8 bits are numbers from 0 to 1, as `deepfs predict` takes them


class Raw(NamedTuple):
    """What a source has read: samples ``x[picks]``, or ``x``, with their targets and weights."""

    x: Tree
    picks: Array | None
    y: Tree
    weight: Tree


class Source(ABC):
    """Samples by number, as they are stored.

    Attributes
    ----------
    shape : shape of one input, or the tree of these
    dtype : dtype of an input that is one array
    target_shapes : shapes of all targets, or the tree of these; None without targets
    targets : array or None
        All targets, where they are known without reading the inputs.
    weight : array or None
        All sample weights.
    scale : float or None
        Factor that makes numbers from 0 to 1 of the stored values of pictures.
    in_memory : bool
        Whether reading takes no time, so that no thread needs to read ahead.
    class_names : tuple of str or None
    """

    shape: Any
    dtype: np.dtype[Any]
    target_shapes: Any = None
    targets: Tree = None
    weight: Tree = None
    scale: float | None = None
    in_memory = False
    class_names: tuple[str, ...] | None = None

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of samples."""

    def __repr__(self) -> str:
        return f"<{len(self):,} samples {self.shape}>"

    @abstractmethod
    def read(self, numbers: Array) -> Raw:
        """Return samples; called in another thread, if they are not in memory."""

    def describe(self) -> dict[str, Any]:
        """Return what a resumed run must find again, beside shapes."""
        return {"kind": type(self).__name__, "class_names": self.class_names}


class ArraySource(Source):
    """Arrays ``(x, y)`` or ``(x, y, weights)``, in memory or read by slices; y may be None."""

    def __init__(self, x: Any, y: Any = None, weight: Any = None) -> None:
        self.x = tree_of(x, "inputs")
        self.y = None if y is None else tree_of(y, "targets")
        self.weight = None if weight is None else tree_of(weight, "sample weights")
        self.targets = self.y
        arrays = [*leaves(self.x), *(leaf for tree in (self.y, self.weight) if tree is not None
                                     for leaf in leaves(tree))]  # fmt: skip
        if any(leaf.ndim < 1 for leaf in arrays) or len({len(leaf) for leaf in arrays}) > 1:
            shapes = ", ".join(str(tuple(leaf.shape)) for leaf in arrays)
            raise ValueError(f"Loader needs arrays with a row for each sample, got shapes {shapes}")
        if not len(self):
            raise ValueError(f"Loader needs at least 1 sample, got {shapes_of(self.x)}")
        self.shape = map_tree(lambda leaf: tuple(leaf.shape[1:]), self.x)
        self.dtype = next(leaves(self.x)).dtype
        self.target_shapes = None if self.y is None else shapes_of(self.y)
        self.in_memory = not any(is_on_disk(leaf) for leaf in arrays)

    def __len__(self) -> int:
        return samples_of(self.x)

    def read(self, numbers: Array) -> Raw:
        data = DataSet(self.x, self.y, self.weight)
        if self.in_memory and isinstance(self.x, np.ndarray):  # the kernel gathers the inputs
            rest = [
                None if tree is None else map_tree(lambda leaf: leaf[numbers], tree)
                for tree in (self.y, self.weight)
            ]
            return Raw(self.x, numbers, *rest)
        if self.y is None:
            data.y = self.x
        x, y, weight = data.take(numbers)
        return Raw(x, None, None if self.y is None else y, weight)


class FolderSource(Source):
    """The pictures of an `ImageFolder`."""

    def __init__(self, folder: ImageFolder) -> None:
        self.folder = folder
        self.shape, self.dtype, self.scale = folder.image_shape, np.dtype(np.uint8), TO_UNIT
        self.class_names = None if folder.class_names is None else tuple(folder.class_names)
        if folder.labels is not None:
            self.targets, self.target_shapes = folder.targets, list(folder.targets.shape)

    def __len__(self) -> int:
        return len(self.folder)

    def __repr__(self) -> str:
        return repr(self.folder)

    @property
    def in_memory(self) -> bool:  # type: ignore[override]
        """Whether all images have been read and kept."""
        return self.folder.cache and self.folder.kept.complete

    def read(self, numbers: Array) -> Raw:
        labels = None if self.targets is None else self.targets[numbers]
        if self.in_memory:  # the kernel gathers them
            return Raw(self.folder.kept.images, numbers, labels, None)
        return Raw(self.folder.read(numbers), None, labels, None)

    def describe(self) -> dict[str, Any]:
        root, digest = self.folder.directory, sha256()
        for path in self.folder.paths:
            digest.update(f"{path.relative_to(root).as_posix()}\n".encode())
        sizing = [self.folder.interpolation, self.folder.crop_to_aspect_ratio,
                  self.folder.pad_to_aspect_ratio]  # fmt: skip
        files = f"{len(self):,} with names {digest.hexdigest()[:16]}"
        return super().describe() | {"files": files, "sizing": sizing}


class SampleSource(Source):
    """Anything with ``__len__`` and ``__getitem__``: a sample is (input, target), or an input."""

    def __init__(self, samples: Any) -> None:
        self.samples, self.kind = samples, type(samples).__name__
        if not len(samples):
            raise ValueError(f"Loader needs at least 1 sample, got none in the {self.kind}")
        names = getattr(samples, "class_names", None) or getattr(samples, "classes", None)
        self.class_names = None if names is None else checked_names(names)
        x, y = self._sample(0)
        self.shape, self.dtype = x.shape, x.dtype
        self.scale = TO_UNIT if self._is_picture(self._parts(0)[0]) else None
        self.target_shapes = None if y is None else [len(samples), *y.shape]

    def __len__(self) -> int:
        return len(self.samples)

    def read(self, numbers: Array) -> Raw:
        samples = [self._sample(int(number)) for number in numbers]
        x = np.empty((len(samples), *self.shape), self.dtype)
        for row, number, (image, _) in zip(x, numbers, samples, strict=True):
            if image.shape != self.shape:
                raise ValueError(
                    f"sample {number} of the {self.kind} has shape {image.shape}, sample 0 "
                    f"{self.shape}: crop, pad or resize them to one shape"
                )
            if not np.can_cast(image.dtype, self.dtype, "same_kind"):
                raise TypeError(
                    f"sample {number} of the {self.kind} is {image.dtype}, sample 0 {self.dtype}"
                )
            row[...] = image
        y = None if self.target_shapes is None else np.stack([target for _, target in samples])
        return Raw(x, None, y, None)

    def _parts(self, number: int) -> tuple[Any, Any]:
        try:
            given = self.samples[number]
        except Exception as error:
            error.add_note(f"deepfs.data.Loader was reading sample {number} of the {self.kind}")
            raise
        if isinstance(given, dict):
            pairs = ("image", "label"), ("img", "label"), ("x", "y"), ("inputs", "targets")
            for x, y in pairs:
                if x in given:
                    return given[x], given.get(y)
            raise TypeError(f"sample {number} of the {self.kind} must have image and label, got "
                            f"{', '.join(map(str, given))}")  # fmt: skip
        if isinstance(given, (tuple, list)):
            if len(given) != 2:
                raise TypeError(
                    f"sample {number} of the {self.kind} must be (input, target), got "
                    f"{len(given)} parts"
                )
            return given[0], given[1]
        return given, None

    def _sample(self, number: int) -> tuple[Array, Any]:
        x, y = self._parts(number)
        what = f"sample {number} of the {self.kind}"
        if self._is_picture(x):
            x = np.asarray(x if x.mode in ("L", "RGB") else x.convert("RGB"))
            x = x[None] if x.ndim == 2 else x.transpose(2, 0, 1)
        else:
            x = as_data(x, what)[...]
        return x, None if y is None else as_data(y, f"the target of {what}")

    @staticmethod
    def _is_picture(x: Any) -> bool:
        return hasattr(x, "getbands") and hasattr(x, "convert")  # of Pillow


def tree_of(given: Any, what: str) -> Tree:
    """Return an array, or a tuple or dict of arrays, as data."""
    if isinstance(given, dict):
        return {name: as_data(each, f"{what}[{name!r}]") for name, each in given.items()}
    if isinstance(given, tuple):
        return tuple(as_data(each, f"{what}[{i}]") for i, each in enumerate(given))
    return as_data(given, what)


def is_on_disk(a: Any) -> bool:
    """Return whether an array is read from a file when it is used."""
    while isinstance(a, np.ndarray):
        if isinstance(a, np.memmap):
            return True
        a = a.base
    return isinstance(a, (Lazy, memoryview)) or type(a).__name__ == "mmap"


def is_array(given: Any) -> bool:
    """Return whether something is one array, and not a data set of samples."""
    return isinstance(given, np.ndarray) or hasattr(given, "shape") or hasattr(given, "__array__")


def source_of(given: Any) -> Source:
    """Return the source that is meant by what `Loader` was given.

    Raises
    ------
    TypeError, ValueError
        If nothing is meant by it.
    """
    if isinstance(given, Source):
        return given
    if isinstance(given, ImageFolder):
        return FolderSource(given)
    if isinstance(given, Batch):
        return ArraySource(*given)
    if isinstance(given, tuple) and len(given) in (2, 3) and not any(map(is_path, given)):
        return ArraySource(*given)
    if isinstance(given, DataSet):
        return ArraySource(given.x, given.y, given.weight)
    if is_path(given) or (isinstance(given, tuple) and all(map(is_path, given))):
        return source_of_paths(given)
    if is_array(given) or (isinstance(given, dict) and given):
        return ArraySource(given)
    if hasattr(given, "__getitem__") and hasattr(given, "__len__") and not isinstance(given, dict):
        return SampleSource(given)
    iterable = ": batches that an iterable makes train with fit(iterable)"
    raise TypeError(
        "Loader takes (inputs, targets), (inputs, targets, weights), the path of a folder or file, "
        f"or a data set with len and indices, got {type(given).__name__}"
        + (iterable if hasattr(given, "__iter__") else "")
    )


def source_of_paths(given: Any) -> Source:
    """Return the source that a path means, or a pair of them."""
    from .files import array_in, read_path  # not for arrays: they read what is not needed there

    if isinstance(given, tuple):
        if len(given) not in (2, 3):
            raise TypeError(f"Loader takes a path, or two or three of arrays, got {len(given)}")
        return ArraySource(*map(array_in, given))
    found = read_path(given)
    if isinstance(found, ImageFolder):
        return FolderSource(found)
    x, y, names = found
    source = ArraySource(x, y)
    source.class_names = names
    return source


def is_path(given: Any) -> bool:
    """Return whether something names a file or folder."""
    return isinstance(given, str) or hasattr(given, "__fspath__")
