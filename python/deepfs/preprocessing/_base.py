"""Preprocess, the base class: fitted in passes over batches, applied in pieces."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from .._arrays import Array, Shape
from .._check import array
from .._settings import ExplainedSettings

PIECE_ENTRIES = 2**18  # transformed together, in float64: 2 MB
Passes: TypeAlias = Callable[[], Iterator[Array]]
Affine: TypeAlias = "tuple[Array, Array]"


@dataclass(eq=False)
class Preprocess(ExplainedSettings):
    """Base class of what is done to inputs before the network sees them.

    **Extension points.** A class of your own is a dataclass whose fields are its settings. It
    defines ``_apply(x)``, which returns the transformed samples of a float64 array and does not
    write to ``x``. One that learns also lists the names of its arrays in ``learned``, which its
    ``__post_init__`` sets to None and its ``_fit(passes)`` returns; ``passes()`` yields the batches
    of the training inputs, as often as it is called. One that changes the shape of a sample defines
    ``out_shape(in_shape)``.

    Attributes
    ----------
    learned : tuple of str
        Names of the arrays that `fit` sets; they are in the file of a model.
    """

    learned: ClassVar[tuple[str, ...]] = ()

    @property
    def fitted(self) -> bool:
        """Whether it can be applied: True from the start for what does not learn."""
        return all(getattr(self, name) is not None for name in self.learned)

    @property
    def learns(self) -> bool:
        """Whether there is anything to fit."""
        return bool(self.learned)

    def fit(self, parts: ArrayLike | Callable[[], Iterator[ArrayLike]]) -> Preprocess:
        """Learn from the inputs of a training set; what was learned before is forgotten.

        Parameters
        ----------
        parts : array (n, ...), or function
            The inputs; or a function without arguments that returns an iterator over batches of
            them. It is called once for each pass, up to three times, and must give the same samples
            each time.

        Returns
        -------
        Preprocess
            Itself, as in scikit-learn.

        Raises
        ------
        ValueError
            If there are no samples, one is not finite, or their shapes differ.
        RuntimeError
            If a later pass gives another number of samples.
        """
        if not self.learns:
            return self
        found = self._fit(checked_passes(parts, type(self).__name__))
        for name, value in found.items():
            setattr(self, name, value)
        return self

    def reset(self) -> None:
        """Forget what was learned."""
        for name in self.learned:
            setattr(self, name, None)

    def __call__(self, x: ArrayLike) -> Array:
        """Return transformed inputs: float64 if ``x`` is, else float32.

        Raises
        ------
        RuntimeError
            If it is not fitted.
        ValueError
            If samples have another shape than those it was fitted to.
        """
        who = type(self).__name__
        x = array(x, who)
        if x.dtype.kind not in "fiub":
            raise TypeError(f"{who} takes numbers, got an array of {x.dtype}")
        if x.ndim == 0:
            raise ValueError(f"{who} takes a batch, got a single number")
        self._check_fitted()
        self._check_shape(x.shape[1:])
        dtype = np.float64 if x.dtype.kind == "f" and x.dtype.itemsize >= 8 else np.float32
        y = np.empty((len(x), *self.out_shape(x.shape[1:])), dtype)
        rows = max(1, PIECE_ENTRIES // max(1, prod(x.shape[1:])))
        for start in range(0, len(x), rows):
            piece = x[start : start + rows].astype(np.float64, copy=False)
            y[start : start + rows] = self._apply(piece)
        return y

    def affine(self, sample_shape: Shape) -> Affine | None:
        """Return the transformation as ``x * scale + shift``; None if it is not of that form.

        Parameters
        ----------
        sample_shape : tuple of int
            Shape of a sample, such as ``(c, h, w)``.

        Returns
        -------
        (array, array) or None
            Scale and shift in float64, both per channel, ``(c,)``, or both per entry,
            ``sample_shape``.
        """
        return None

    def out_shape(self, in_shape: Shape) -> Shape:
        """Return the shape of a transformed sample."""
        return tuple(in_shape)

    def arrays(self) -> dict[str, Array]:
        """Return what was learned, by name; nothing before `fit`."""
        return {name: getattr(self, name) for name in self.learned} if self.fitted else {}

    def load_arrays(self, arrays: Mapping[str, Array]) -> None:
        """Take over what `arrays` returned.

        Raises
        ------
        ValueError
            If one is missing, not known, or not finite.
        """
        if not arrays:
            return
        if {*arrays} != {*self.learned}:
            raise ValueError(
                f"{type(self).__name__} needs the arrays {', '.join(self.learned) or 'none'}, "
                f"got {', '.join(arrays)}"
            )
        for name, value in arrays.items():
            if value.dtype != np.float64 or not np.isfinite(value).all():
                raise ValueError(f"{type(self).__name__}.{name} must be finite and float64")
        before = {name: getattr(self, name) for name in self.learned}
        for name, value in arrays.items():
            setattr(self, name, value)
        try:
            self._check_arrays()
        except ValueError:
            for name, value in before.items():
                setattr(self, name, value)
            raise

    def _check_arrays(self) -> None:
        """Raise ValueError if what was learned does not fit together, as in a changed file."""

    @abstractmethod
    def _apply(self, x: Array) -> Array:
        """Return the transformed samples of a float64 array."""

    def _fit(self, passes: Passes) -> dict[str, Array]:
        """Return what is learned, by name."""
        raise NotImplementedError

    def _check_fitted(self) -> None:
        if not self.fitted:
            raise RuntimeError(
                f"{self!r} is not fitted: Model.fit does it on the training data; alone, write "
                "preprocess.fit(x)"
            )

    def _check_shape(self, shape: Shape) -> None:
        """Raise ValueError for samples of another shape than those it was fitted to."""

    def _check_change(self, name: str) -> None:
        if self.learns and self.fitted:
            raise AttributeError(
                f"{type(self).__name__}.{name} cannot change: it has been fitted with it; make "
                "another, or call reset() first"
            )


def checked_passes(parts: Any, who: str) -> Passes:
    """Return what yields the batches of a training set as arrays: checked, the same each time."""
    if not callable(parts):
        whole = array(parts, who)
        if whole.ndim == 0:
            raise ValueError(f"{who} takes a batch, got a single number")

        def parts() -> Iterator[Array]:
            rows = max(1, PIECE_ENTRIES // max(1, prod(whole.shape[1:])))
            return (whole[start : start + rows] for start in range(0, len(whole), rows))

    samples: list[int] = []
    shapes: set[Shape] = set()

    def passes() -> Iterator[Array]:
        count = 0
        for part in parts():
            x = array(part, who)
            if x.dtype.kind not in "fiub" or x.ndim == 0:
                raise TypeError(f"{who} takes batches of numbers, got {x.dtype} {x.shape}")
            if not np.isfinite(x).all():
                at = int(np.isfinite(x).reshape(len(x), -1).all(axis=1).argmin())
                raise ValueError(f"{who} needs finite inputs, got others in sample {count + at}")
            shapes.add(x.shape[1:])
            if len(shapes) > 1:
                raise ValueError(f"{who} needs samples of one shape, got {sorted(shapes)}")
            count += len(x)
            yield x.astype(np.float64, copy=False)
        if count == 0 and not samples:
            raise ValueError(f"{who} needs at least 1 sample, got none")
        if samples and samples[0] != count:
            raise RuntimeError(
                f"{who} needs the same samples in each pass, got {samples[0]}, then {count}: parts "
                "must be a function that starts anew, not an iterator"
            )
        samples.append(count)

    return passes
