"""Base of transforms, and checks of their settings."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from .._arrays import Array, Shape
from .._check import number, shown
from .._settings import ExplainedSettings

# the operations of the kernel, src/cnn_core/image.pyx
FLIP, SHIFT, AFFINE, JITTER, CUTOUT = range(5)
VALUES = 6  # numbers of an image for one operation


class Transform(ExplainedSettings):
    """Base of the transforms that the kernel knows.

    Attributes
    ----------
    kind : int
        The operation of the kernel.
    draws : int
        How many uniform numbers it needs for an image.
    each_epoch : bool
        Whether it draws new ones in each epoch.
    """

    kind: ClassVar[int]
    draws: ClassVar[int]
    each_epoch: ClassVar[bool] = True

    @abstractmethod
    def numbers(self, u: Array, shape: Shape, raw: np.dtype[Any], epoch: int) -> tuple[Any, ...]:
        """Return the numbers of the operation, each ``(n,)`` or one for all images.

        ``u (n, draws)`` are uniform, ``shape`` is ``(c, h, w)``, ``raw`` the dtype of the source.
        """

    def check(self, shape: Shape) -> None:
        """Raise ValueError if images of this shape cannot be changed."""

    def fills(self, channels: int) -> Array:
        """Return the fill of each channel."""
        fill = vars(self).get("fill", 0.0)
        if isinstance(fill, tuple) and len(fill) != channels:
            raise ValueError(
                f"{type(self).__name__} has fills of {len(fill)} channels, got images of {channels}"
            )
        return np.broadcast_to(np.asarray(fill, np.float64), (channels,))


def checked_fill(fill: Any) -> float | tuple[float, ...]:
    """Return a fill as a float, or as a tuple of one per channel."""
    several = isinstance(fill, Sequence) and not isinstance(fill, str)
    if several or (isinstance(fill, np.ndarray) and fill.ndim == 1):
        return tuple(number(value, "each entry of fill", "(-inf, inf)") for value in fill)
    return number(fill, "fill", "(-inf, inf)")


def between(value: Any, name: str, interval: str, middle: float = 0.0) -> tuple[float, float]:
    """Return a range: a pair as it is, a number d as middle - d to middle + d, inside interval."""
    if isinstance(value, (tuple, list)):
        if len(value) != 2:
            raise ValueError(f"{name} must be a number or (low, high), got {shown(value)}")
        low, high = (number(bound, f"each end of {name}", interval) for bound in value)
        if low > high:
            raise ValueError(f"{name} must be (low, high) with low <= high, got {shown(value)}")
        return low, high
    spread = number(value, name, "[0, inf)")
    least = float(interval[1:].split(",")[0])
    return max(least, middle - spread), middle + spread


def scaled(u: Array, ends: tuple[float, float]) -> Array:
    """Return uniform numbers in [0, 1) as numbers in a range."""
    return ends[0] + u * (ends[1] - ends[0])
