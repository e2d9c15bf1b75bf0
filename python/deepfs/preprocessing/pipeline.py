"""Pipeline: several preprocessings in turn; and what users may give for one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .._arrays import Array, Shape
from .._check import shown
from ._base import Affine, Preprocess, checked_passes


@dataclass(eq=False)
class Pipeline(Preprocess):
    """Several preprocessings, applied in turn. ``Model(..., preprocess=[...])`` makes one.

    Parameters
    ----------
    steps : sequence of Preprocess
        At least one. Each is fitted to what the steps before it return.

    Raises
    ------
    TypeError, ValueError
        If they are no such steps, or there are none, or one occurs twice.

    References
    ----------
    scikit-learn: ``Pipeline``.

    Examples
    --------
    >>> from deepfs.preprocessing import PCA, Pipeline, Standardize
    >>> x = np.random.default_rng(0).normal(5, 2, size=(100, 6))
    >>> Pipeline([Standardize(), PCA(2)]).fit(x)(x).shape
    (100, 2)
    """

    steps: Sequence[Preprocess]

    def __post_init__(self) -> None:
        if not isinstance(self.steps, (list, tuple)) or not self.steps:
            raise TypeError(f"steps must be a list of at least 1, got {shown(self.steps)}")
        self.steps = tuple(made(step) for step in self.steps)
        if len({id(step) for step in self.steps}) < len(self.steps):
            raise ValueError("steps must be different objects, got one twice")

    @property
    def fitted(self) -> bool:
        """Whether all steps are."""
        return all(step.fitted for step in self.steps)

    @property
    def learns(self) -> bool:
        """Whether a step has anything to fit."""
        return any(step.learns for step in self.steps)

    def fit(self, parts: ArrayLike | Callable[[], Iterator[ArrayLike]]) -> Pipeline:
        """Fit each step to what the steps before it return; see `Preprocess.fit`."""
        passes = checked_passes(parts, "Pipeline")
        for number, step in enumerate(self.steps):

            def through(before: Sequence[Preprocess] = self.steps[:number]) -> Iterator[Array]:
                for x in passes():
                    for earlier in before:
                        x = earlier(x)
                    yield x

            step.fit(through)
        return self

    def reset(self) -> None:
        """Forget what all steps have learned."""
        for step in self.steps:
            step.reset()

    def affine(self, sample_shape: Shape) -> Affine | None:
        """Return scale and shift of all steps together; None if one has none."""
        scale, shift = np.ones(sample_shape[:1]), np.zeros(sample_shape[:1])
        for step in self.steps:
            found = step.affine(sample_shape)
            if found is None:
                return None
            if found[0].ndim != scale.ndim:  # one per entry, one per channel
                found, scale, shift = (
                    (_entries(found[0], sample_shape), _entries(found[1], sample_shape)),
                    _entries(scale, sample_shape),
                    _entries(shift, sample_shape),
                )
            scale, shift = scale * found[0], shift * found[0] + found[1]
        return scale, shift

    def out_shape(self, in_shape: Shape) -> Shape:
        """Return the shape of a sample after the last step."""
        for step in self.steps:
            in_shape = step.out_shape(in_shape)
        return in_shape

    def arrays(self) -> dict[str, Array]:
        """Return what the steps have learned, as ``number/name``."""
        return {
            f"{number}/{name}": value
            for number, step in enumerate(self.steps)
            for name, value in step.arrays().items()
        }

    def load_arrays(self, arrays: Mapping[str, Array]) -> None:
        """Take over what `arrays` returned; see `Preprocess.load_arrays`."""
        own: list[dict[str, Array]] = [{} for _ in self.steps]
        for name, value in arrays.items():
            number, _, rest = name.partition("/")
            if not number.isdecimal() or int(number) >= len(own):
                raise ValueError(f"Pipeline of {len(own)} steps has no array {name!r}")
            own[int(number)][rest] = value
        for step, mine in zip(self.steps, own, strict=True):
            step.load_arrays(mine)

    def _check_shape(self, shape: Shape) -> None:
        for step in self.steps:
            step._check_shape(shape)
            shape = step.out_shape(shape)

    def _apply(self, x: Array) -> Array:
        for step in self.steps:
            x = step._apply(x)
        return x


def _entries(value: Array, sample_shape: Shape) -> Array:
    """Return numbers per channel as numbers per entry."""
    if value.ndim == 1 and len(sample_shape) > 1:
        value = value.reshape((-1,) + (1,) * (len(sample_shape) - 1))
    return np.broadcast_to(value, sample_shape)


def made(given: Any) -> Preprocess:
    """Return a preprocessing if it is one; raise TypeError otherwise."""
    if isinstance(given, Preprocess):
        return given
    if isinstance(given, (list, tuple)):
        return Pipeline(given)
    way = ""
    if isinstance(given, type) and issubclass(given, Preprocess):
        way = f": write {given.__name__}()"
    elif callable(given):
        way = (
            ": a function would not be in the file; call it on the inputs yourself, or derive a "
            "class from deepfs.preprocessing.Preprocess"
        )
    raise TypeError(
        "preprocess must be of deepfs.preprocessing, such as Standardize(), or a list of these, "
        f"got {shown(given)}{way}"
    )


def get(given: Any) -> Preprocess | None:
    """Return what a model does to its inputs: None, a preprocessing, or a `Pipeline` of a list.

    Parameters
    ----------
    given : Preprocess, sequence of Preprocess, or None
        What `Model` was given.

    Returns
    -------
    Preprocess or None
        None for None and for an empty list.

    Raises
    ------
    TypeError
        If it is anything else. The message has the way out.

    Examples
    --------
    >>> from deepfs.preprocessing import Rescale, Standardize, get
    >>> get([Rescale(1 / 2), Standardize()])
    Pipeline([Rescale(0.5), Standardize()])
    """
    empty = isinstance(given, (list, tuple)) and not given
    return None if given is None or empty else made(given)
