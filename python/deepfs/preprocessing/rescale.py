"""Rescale and Normalize: fixed numbers, nothing is learned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .._arrays import Array, Shape
from .._check import number
from ._base import Affine, Preprocess
from ._statistics import spread


@dataclass(eq=False)
class Rescale(Preprocess):
    """Multiply by a number and add another: ``x * scale + offset``.

    Parameters
    ----------
    scale : float
        Factor, not 0: ``1 / 255`` for images of bytes.
    offset : float
        What is added afterwards.

    Raises
    ------
    TypeError, ValueError
        If one is not a finite number, or ``scale`` is 0.

    References
    ----------
    Keras: ``Rescaling``.

    Examples
    --------
    >>> from deepfs.preprocessing import Rescale
    >>> Rescale(1 / 255)(np.array([[0, 51, 255]], np.uint8))
    array([[0. , 0.2, 1. ]], dtype=float32)
    """

    scale: float
    offset: float = 0.0

    def __post_init__(self) -> None:
        self.scale = number(self.scale, "scale", "(-inf, inf)")
        if self.scale == 0:
            raise ValueError("scale must not be 0: all inputs would be the same")
        self.offset = number(self.offset, "offset", "(-inf, inf)")

    def affine(self, sample_shape: Shape) -> Affine:
        """Return scale and shift per channel."""
        channels = sample_shape[:1]
        return np.full(channels, self.scale), np.full(channels, self.offset)

    def _apply(self, x: Array) -> Array:
        return x * self.scale + self.offset


@dataclass(eq=False)
class Normalize(Preprocess):
    """Subtract known means and divide by known standard deviations: ``(x - mean) / std``.

    For numbers that others have published with their weights. `Standardize` learns its own.

    Parameters
    ----------
    mean, std : float, or sequence of float
        One number for all, or one for each channel, axis 1; ``std`` above 0.

    Raises
    ------
    TypeError, ValueError
        If they are not such numbers, or of different lengths.

    References
    ----------
    torchvision: ``transforms.v2.Normalize``.

    Examples
    --------
    >>> from deepfs.preprocessing import Normalize
    >>> Normalize((1, 10), (2, 5))(np.array([[3.0, 0.0]]))
    array([[ 1., -2.]])
    """

    mean: float | Sequence[float]
    std: float | Sequence[float]

    def __post_init__(self) -> None:
        self.mean = numbers(self.mean, "mean", "(-inf, inf)")
        self.std = numbers(self.std, "std", "(0, inf)")
        lengths = {len(each) for each in (self.mean, self.std) if isinstance(each, tuple)}
        if len(lengths) > 1:
            raise ValueError(
                f"mean and std must have one number for each channel, got {len(self.mean)} "  # type: ignore[arg-type]
                f"and {len(self.std)}"  # type: ignore[arg-type]
            )

    def affine(self, sample_shape: Shape) -> Affine:
        """Return scale and shift per channel."""
        self._check_shape(sample_shape)
        scale = np.broadcast_to(1 / np.asarray(self.std, np.float64), sample_shape[:1]).copy()
        return scale, -np.asarray(self.mean, np.float64) * scale

    def _check_shape(self, shape: Shape) -> None:
        for each in (self.mean, self.std):
            if isinstance(each, tuple) and shape[:1] != (len(each),):
                raise ValueError(
                    f"Normalize has numbers for {len(each)} channels, got samples of shape {shape}"
                )

    def _apply(self, x: Array) -> Array:
        mean, std = (np.asarray(each, np.float64) for each in (self.mean, self.std))
        return (x - spread(mean, "channel", x.ndim)) / spread(std, "channel", x.ndim)


def numbers(value: float | Sequence[float], name: str, interval: str) -> float | tuple[float, ...]:
    """Return one number, or a tuple of them, in an interval."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, (list, tuple)) and len(value) > 0:
        return tuple(number(each, f"each entry of {name}", interval) for each in value)
    return number(value, name, interval)
