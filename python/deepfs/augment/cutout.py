"""Images with a hole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._arrays import Array, Shape
from .._check import pair
from ._base import CUTOUT, Transform, checked_fill


@dataclass
class Cutout(Transform):
    """Cutout: fill a box of an image, at a random place.

    Parameters
    ----------
    size : int or (int, int)
        Height and width of the box, in pixels, at least 1; 8 or 16 at 32x32 in the paper.
    fill : float or sequence of float
        A value of raw pixels, or one per channel. In the paper it is the mean of the training set,
        which is 0 after centring.

    Raises
    ------
    TypeError, ValueError
        If a setting is of the wrong kind or out of range.

    Notes
    -----
    All pixels are equally probable as the centre (cy, cx), so the box may lie partly outside. Its
    rows are cy - height // 2 and the next height - 1; likewise its columns. NumPy reference:
    `deepfs.reference.cutout`.

    References
    ----------
    DeVries and Taylor, "Improved regularization of convolutional neural networks with cutout",
    2017, arXiv:1708.04552.

    Examples
    --------
    >>> Cutout(8).size
    (8, 8)
    """

    size: int | tuple[int, int]
    fill: float | Sequence[float] = 0.0

    kind = CUTOUT
    draws = 2

    def __post_init__(self) -> None:
        self.size = pair(self.size, "size")
        self.fill = checked_fill(self.fill)

    def numbers(self, u: Array, shape: Shape, raw: np.dtype[Any], epoch: int) -> tuple[Any, ...]:
        height, width = pair(self.size, "size")
        top, left = np.floor(u * shape[1:]).T
        top, left = top - height // 2, left - width // 2
        return top, top + height, left, left + width
