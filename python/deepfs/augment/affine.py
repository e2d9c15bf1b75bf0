"""Images that are rotated, shifted and scaled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._arrays import Array, Shape
from .._check import number, shown
from ._base import AFFINE, Transform, between, checked_fill, scaled


@dataclass
class RandomAffine(Transform):
    """Random affine transformation: rotate and scale about the centre, then shift.

    Parameters
    ----------
    degrees : float or (float, float)
        The angle is uniform in (low, high); of a number d, in (-d, d). Positive is clockwise.
    translate : float or (float, float), optional
        The shift is uniform in (-a w, a w) columns and (-b h, b h) rows, with (a, b) in [0, 1].
    scale : (float, float), optional
        The factor is uniform in (low, high), above 0; above 1 the image becomes larger.
    fill : float or sequence of float
        What lies beyond the edges: a value of raw pixels, or one per channel.

    Raises
    ------
    TypeError, ValueError
        If a setting is of the wrong kind or out of range.

    Notes
    -----
    Bilinear interpolation. The centre is that of the image, ((h - 1) / 2, (w - 1) / 2) in numbers
    of rows and columns; shifts are not rounded to whole pixels, unlike in torchvision. NumPy
    reference: `deepfs.reference.affine`.

    References
    ----------
    ``torchvision.transforms.v2.RandomAffine``, with ``interpolation=BILINEAR``.

    Examples
    --------
    >>> RandomAffine(15, translate=0.1).degrees
    (-15.0, 15.0)
    """

    degrees: float | tuple[float, float] = 0.0
    translate: float | tuple[float, float] | None = None
    scale: tuple[float, float] | None = None
    fill: float | Sequence[float] = 0.0

    kind = AFFINE
    draws = 4

    def __post_init__(self) -> None:
        self.degrees = between(self.degrees, "degrees", "(-inf, inf)")
        if self.translate is not None:
            self.translate = fractions(self.translate)
        if self.scale is not None:
            if not isinstance(self.scale, (tuple, list)):
                raise TypeError(f"scale must be (low, high) or None, got {shown(self.scale)}")
            self.scale = between(self.scale, "scale", "(0, inf)")
        self.fill = checked_fill(self.fill)

    def numbers(self, u: Array, shape: Shape, raw: np.dtype[Any], epoch: int) -> tuple[Any, ...]:
        (_, h, w), (a, b) = shape, fractions(self.translate or 0.0)
        angle = np.deg2rad(scaled(u[:, 0], between(self.degrees, "", "(-inf, inf)")))
        right, down = scaled(u[:, 1], (-a * w, a * w)), scaled(u[:, 2], (-b * h, b * h))
        factor = scaled(u[:, 3], self.scale or (1.0, 1.0))
        # the way back, from a pixel of the result to its place in the image
        cos, sin = np.cos(angle) / factor, np.sin(angle) / factor
        middle, centre = (h - 1) / 2, (w - 1) / 2
        row = middle - cos * (middle + down) + sin * (centre + right)
        column = centre - sin * (middle + down) - cos * (centre + right)
        return cos, -sin, row, sin, cos, column


def fractions(translate: Any) -> tuple[float, float]:
    """Return the largest shifts as parts of width and height."""
    entries = translate if isinstance(translate, (tuple, list)) else (translate, translate)
    if len(entries) != 2:
        raise ValueError(f"translate must be a number or two, got {shown(translate)}")
    return number(entries[0], "translate", "[0, 1]"), number(entries[1], "translate", "[0, 1]")
