"""Random crops of padded images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._arrays import Array, Shape
from .._check import one_of, whole
from ._base import SHIFT, Transform, checked_fill


@dataclass
class RandomCrop(Transform):
    """Random crop: pad an image on all sides, and cut an image of its own size out of it.

    Parameters
    ----------
    padding : int
        Pixels on each side, at least 0. All (2 padding + 1)**2 positions are equally probable.
    padding_mode : {"constant", "reflect"}
        What lies beyond the edges: ``fill``; or the image mirrored at its first and last pixels,
        which are not repeated, as in ``np.pad``.
    fill : float or sequence of float
        A value of raw pixels, or one per channel.

    Raises
    ------
    TypeError, ValueError
        If a setting is of the wrong kind or out of range; if images come that are too small to
        reflect, or have another number of channels.

    Notes
    -----
    The size of images stays, unlike in torchvision, whose ``RandomCrop(size, padding)`` takes it as
    first argument. NumPy reference: `deepfs.reference.shift`.

    References
    ----------
    ``torchvision.transforms.v2.RandomCrop``. Padding of 4 at 32x32: He et al., "Deep residual
    learning for image recognition", 2015, arXiv:1512.03385, section 4.2.

    Examples
    --------
    >>> RandomCrop(2, padding_mode="reflect").padding
    2
    """

    padding: int = 4
    padding_mode: str = "constant"
    fill: float | Sequence[float] = 0.0

    kind = SHIFT
    draws = 2

    def __post_init__(self) -> None:
        self.padding = whole(self.padding, "padding", 0, 2**20)
        one_of(self.padding_mode, "padding_mode", ("constant", "reflect"))
        self.fill = checked_fill(self.fill)

    def check(self, shape: Shape) -> None:
        if self.padding_mode == "reflect" and self.padding >= min(shape[1:]):
            raise ValueError(
                f"RandomCrop with padding {self.padding} needs images of at least "
                f"{self.padding + 1} rows and columns to reflect, got {shape[1]} x {shape[2]}"
            )

    def numbers(self, u: Array, shape: Shape, raw: np.dtype[Any], epoch: int) -> tuple[Any, ...]:
        moved = np.floor(u * (2 * self.padding + 1)) - self.padding
        return moved[:, 0], moved[:, 1], self.padding_mode == "reflect"
