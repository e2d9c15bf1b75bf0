"""A list of transforms, and what it makes of the samples of a batch."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from cnn_core import image

from .._arrays import Array, Shape, empty, float_dtype
from .._check import shown, whole
from .._settings import ExplainedSettings
from ._base import VALUES, Transform
from ._random import draw, generator
from .mixing import Mixing
from .resizing import ProgressiveResizing

Own: TypeAlias = Callable[[Array, np.random.Generator], Array]  # a function f(image, rng)

RAW = ("uint8", "float32", "float64")  # dtypes that the kernel reads
AT_END = (ProgressiveResizing, Mixing)  # they change finished images


def pipeline(given: Any) -> Pipeline:
    """Return what a loader takes as ``augment`` as a `Pipeline`.

    Parameters
    ----------
    given : None, a transform, a function f(image, rng), a Pipeline, or a list of these
        None changes nothing.

    Returns
    -------
    Pipeline
        That which was given, or a new one.

    Raises
    ------
    TypeError, ValueError
        If an entry is no transform, or something stands behind `MixUp` or `CutMix`.

    Examples
    --------
    >>> from deepfs.augment import RandomCrop, RandomHorizontalFlip
    >>> pipeline([RandomHorizontalFlip(), RandomCrop(4)])
    Pipeline([RandomHorizontalFlip(), RandomCrop()])
    """
    return given if isinstance(given, Pipeline) else Pipeline(given)


@dataclass
class Pipeline(ExplainedSettings):
    """Transforms that follow each other: each changes what the one before it has returned.

    Parameters
    ----------
    transforms : None, a transform, a function f(image, rng), or a list of these
        See `pipeline`. `MixUp` and `CutMix` must be the last, `ProgressiveResizing` before them.

    Raises
    ------
    TypeError, ValueError
        If an entry is no transform, or something stands behind `MixUp` or `CutMix`.

    Notes
    -----
    A function gets an image ``(c, h, w)`` of raw values in the dtype of the result, which it may
    change, and a `numpy.random.Generator` made for this image in this epoch; it returns an image of
    the same shape.

    Examples
    --------
    >>> from deepfs.augment import Pipeline, RandomVerticalFlip
    >>> x = np.arange(6, dtype=np.uint8).reshape(2, 1, 3, 1)
    >>> Pipeline(RandomVerticalFlip(p=1)).images(x, [1], [1], epoch=0, seed=0).ravel()
    array([5., 4., 3.], dtype=float32)
    """

    transforms: Any

    def __post_init__(self) -> None:
        self.transforms = tuple(flat(self.transforms))
        mixing = [isinstance(transform, Mixing) for transform in self.transforms]
        if mixing != sorted(mixing):
            first = type(self.transforms[mixing.index(True)]).__name__
            behind = self.transforms[mixing.index(False, mixing.index(True))]
            raise ValueError(
                f"{first} mixes finished images, so it must stand at the end of the list, got "
                f"{name_of(behind)} behind it"
            )
        resizing = [isinstance(each, ProgressiveResizing) for each in self.transforms]
        if resizing.count(True) > 1:
            raise ValueError("ProgressiveResizing may stand in the list once, got it twice")
        if True in resizing[: len(mixing) - mixing.count(True) - 1]:
            behind = self.transforms[resizing.index(True) + 1]
            raise ValueError(
                "ProgressiveResizing resizes finished images, so it must stand at the end of the "
                f"list, before MixUp and CutMix, got {name_of(behind)} behind it"
            )

    def __len__(self) -> int:
        return len(self.transforms)

    @property
    def mixes(self) -> bool:
        """Whether there is something to do for `mix`."""
        return any(isinstance(transform, Mixing) for transform in self.transforms)

    @property
    def resizing(self) -> ProgressiveResizing | None:
        """What changes the size of images by the epoch, or None."""
        found = [each for each in self.transforms if isinstance(each, ProgressiveResizing)]
        return found[0] if found else None

    def check(self, shape: Shape) -> None:
        """Raise ValueError if samples of this shape cannot be changed.

        Parameters
        ----------
        shape : tuple of int
            That of a sample, without the batch axis.
        """
        for transform in self.transforms:
            if isinstance(transform, (Transform, ProgressiveResizing)) and len(shape) != 3:
                raise ValueError(
                    f"{type(transform).__name__} takes images (c, h, w), got samples of shape "
                    f"{tuple(shape)}" + ("; for grey ones, x[:, None]" * (len(shape) == 2))
                )
            if isinstance(transform, Transform):
                transform.check(shape)
                transform.fills(shape[0])

    def images(
        self,
        source: Array,
        index: ArrayLike,
        numbers: ArrayLike,
        epoch: int,
        seed: int,
        scale: ArrayLike | None = None,
        shift: ArrayLike | None = None,
        dtype: DTypeLike = "float32",
    ) -> Array:
        """Return samples of a source, changed by all transforms of single images, and scaled.

        Parameters
        ----------
        source : array (N, c, h, w), or (N, ...) without transforms of images
            Raw values; uint8, float32 and float64 are read without a copy.
        index : array (n,) of int
            Which samples of the source.
        numbers : array (n,) of int
            Their numbers, which determine the random numbers; often ``index`` itself.
        epoch, seed : int
            They determine the random numbers, too.
        scale, shift : array (c,) or of the shape of a sample, optional
            The result is ``scale * x + shift`` of the changed images.
        dtype : {"float32", "float64"}
            Of the result.

        Returns
        -------
        array (n, c, h, w)

        Raises
        ------
        ValueError
            If shapes do not fit, or a function returns something else than an image.
        IndexError
            If there is no such sample.
        """
        index, numbers = whole_numbers(index, "index"), whole_numbers(numbers, "numbers")
        if len(numbers) != len(index):
            raise ValueError(f"{len(index)} samples need as many numbers, got {len(numbers)}")
        epoch, seed = whole(epoch, "epoch", 0), whole(seed, "seed", 0, 2**63 - 1)
        dtype, shape = float_dtype(dtype), source.shape[1:]
        self.check(shape)
        if source.dtype.name not in RAW or not (
            source.flags.c_contiguous and source.dtype.isnative
        ):
            source = picked(source, index, dtype)
            index = np.arange(len(source))
        raw = source.dtype
        factors = [None if part is None else rows(part, shape, dtype) for part in (scale, shift)]
        for operations, function, position in self._runs():
            last = function is None
            source = self._kernel(
                source, index, numbers, operations, epoch, seed, raw,
                factors if last else [None, None], dtype,
            )  # fmt: skip
            index = np.arange(len(source))
            if function is not None:
                apply(function, source, numbers, epoch, seed, position)
        return source

    def _runs(self) -> Iterator[tuple[list[tuple[int, Transform]], Own | None, int]]:
        """Yield operations with their positions, and the function behind them; last None."""
        operations: list[tuple[int, Transform]] = []
        for position, transform in enumerate(self.transforms):
            if isinstance(transform, Transform):
                operations.append((position, transform))
            elif not isinstance(transform, AT_END):
                yield operations, transform, position
                operations = []
        yield operations, None, len(self.transforms)

    def _kernel(
        self, source: Array, index: Array, numbers: Array,
        operations: list[tuple[int, Transform]], epoch: int, seed: int, raw: np.dtype[Any],
        factors: list[Array | None], dtype: np.dtype[Any],
    ) -> Array:  # fmt: skip
        """Return samples after some operations, multiplied and shifted by ``factors``."""
        n, shape = len(index), source.shape[1:]
        kinds = np.array([transform.kind for _, transform in operations], np.int64)
        values = np.zeros((n, len(operations), VALUES))
        fill = np.empty((len(operations), shape[0] if shape else 1), dtype)
        for k, (position, transform) in enumerate(operations):
            of_epoch = epoch if transform.each_epoch else 0
            u = draw(numbers, transform.draws, seed, of_epoch, position)
            for v, value in enumerate(transform.numbers(u, shape, raw, epoch)):
                values[:, k, v] = value
            fill[k] = transform.fills(shape[0])
        y = empty((n, *shape), dtype)
        x, out = (a if a.ndim == 4 else a.reshape(*spread(a.shape)) for a in (source, y))
        image.augment(x, index, kinds, values, fill, factors[0], factors[1], out)
        return y

    def resize(self, x: Array, epoch: int) -> Array:
        """Return images of the size that `ProgressiveResizing` gives them, or as they are.

        Parameters
        ----------
        x : array (n, c, h, w) of float32 or float64
        epoch : int
            Counted from 0.
        """
        resizing = self.resizing
        return x if resizing is None else resizing.resized(x, whole(epoch, "epoch", 0))

    def mix(
        self,
        x: Array,
        y: Any,
        weight: Any,
        numbers: ArrayLike,
        epoch: int,
        seed: int,
        classes: int | None,
    ) -> tuple[Array, Any, Any]:
        """Return a batch after `MixUp` and `CutMix`, or as it is if there is neither.

        Parameters
        ----------
        x : array (n, ...) of float32 or float64
            Inputs of a batch.
        y : array (n,) of int, or (n, classes)
            Labels or probabilities.
        weight : array (n,) or None
            Sample weights.
        numbers, epoch, seed
            See `images`.
        classes : int or None
            The number of classes; needed for labels.

        Returns
        -------
        x, y, weight
            The targets are probabilities ``(n, classes)`` in the dtype of ``x``.

        Raises
        ------
        ValueError, TypeError
            See `MixUp`.
        """
        for position, transform in enumerate(self.transforms):
            if isinstance(transform, Mixing):
                who = type(transform).__name__
                if not isinstance(x, np.ndarray) or x.dtype.name not in RAW[1:]:
                    raise TypeError(f"{who} takes one array of floats as inputs, got {shown(x)}")
                x, y, weight = transform.mix(
                    np.ascontiguousarray(x), y, weight, whole_numbers(numbers, "numbers"),
                    whole(epoch, "epoch", 0), whole(seed, "seed", 0, 2**63 - 1), classes, position,
                )  # fmt: skip
        return x, y, weight


def flat(given: Any) -> Iterator[Any]:
    """Yield the transforms of nested lists, each checked."""
    if given is None:
        return
    if isinstance(given, Pipeline):
        yield from given.transforms
    elif isinstance(given, Sequence) and not isinstance(given, str):
        for entry in given:
            yield from flat(entry)
    elif isinstance(given, (Transform, *AT_END)):
        yield given
    elif isinstance(given, type):
        raise TypeError(f"augment takes transforms, not their classes: {given.__name__}()")
    elif callable(given):
        yield checked_function(given)
    else:
        raise TypeError(
            "augment must be a transform of deepfs.augment, a function f(image, rng), or a list of "
            f"them, got {shown(given)}"
        )


def checked_function(function: Any) -> Any:
    """Return a function of one's own if it takes an image and a generator."""
    try:
        inspect.signature(function).bind(None, None)
    except TypeError as error:
        raise TypeError(
            f"augment takes functions f(image, rng), got {name_of(function)}: {error}"
        ) from None
    except ValueError:  # a built-in function that does not say what it takes
        pass
    return function


def name_of(transform: Any) -> str:
    """Return what messages call a transform or a function."""
    return getattr(transform, "__name__", type(transform).__name__)


def apply(
    function: Own, images: Array, numbers: Array, epoch: int, seed: int, position: int
) -> None:
    """Replace each image by what a function makes of it."""
    for picture, number in zip(images, numbers.tolist(), strict=True):
        rng = generator(seed, epoch, number, position)
        try:
            made = np.asarray(function(picture, rng))
        except Exception as error:
            error.add_note(f"in augmentation by {name_of(function)}: sample {number}, {epoch=}")
            raise
        if made.shape != picture.shape or made.dtype.kind not in "fiub":
            raise ValueError(
                f"augmentation by {name_of(function)} must return an image {picture.shape}, got "
                f"{made.dtype} {made.shape} for sample {number}"
            )
        picture[...] = made


def picked(source: Array, index: Array, dtype: np.dtype[Any]) -> Array:
    """Return samples of a source that the kernel does not read, in an array that it does."""
    if source.dtype.kind not in "fiub":
        raise TypeError(f"augmentation takes numbers as samples, got {source.dtype}")
    if len(index) and (index.min() < 0 or index.max() >= len(source)):
        raise IndexError(f"index out of range for {len(source)} samples")
    kept = source.dtype.name in RAW
    return np.ascontiguousarray(source[index], source.dtype.newbyteorder("=") if kept else dtype)


def rows(part: ArrayLike, shape: Shape, dtype: np.dtype[Any]) -> Array:
    """Return a number per channel, ``(c, 1)``, or per entry of a sample, ``(c, entries)``."""
    part = np.asarray(part, dtype)
    channels = spread((1, *shape))[1]
    if part.shape in ((), shape[:1]):
        return np.ascontiguousarray(np.broadcast_to(part, (channels,))).reshape(channels, 1)
    fits = zip(part.shape, shape, strict=False)
    if part.ndim != len(shape) or any(own not in (1, extent) for own, extent in fits):
        raise ValueError(
            f"scale and shift must have a number per channel or the shape of a sample, {shape}, "
            f"got {part.shape}"
        )
    return np.ascontiguousarray(np.broadcast_to(part, shape)).reshape(channels, -1)


def spread(shape: Shape) -> Shape:
    """Return the shape of samples as that of images, ``(n, c, 1, entries)``."""
    channels = shape[1] if len(shape) > 1 else 1
    return shape[0], channels, 1, int(np.prod(shape[2:], dtype=np.int64))


def whole_numbers(given: ArrayLike, name: str) -> Array:
    """Return whole numbers, one per sample, as the kernel takes them."""
    found = np.asarray(given)
    if found.ndim != 1 or (found.dtype.kind not in "iu" and found.size):
        raise TypeError(f"{name} must be an array (n,) of ints, got {shown(given)}")
    return np.ascontiguousarray(found, np.int64)
