"""Images that are brighter or darker, with more or less contrast."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .._arrays import Array, Shape
from .._check import shown
from ._base import JITTER, Transform, between, scaled


@dataclass
class ColorJitter(Transform):
    r"""Color jitter: change brightness, then contrast, by random factors.

    .. math:: x \to b x, \qquad x \to m + k (x - m)

    where m is the mean of the grey image.

    Parameters
    ----------
    brightness, contrast : float or (float, float)
        The factors b and k are uniform in (low, high), at least 0; of a number d, in
        (max(0, 1 - d), 1 + d). 0 leaves images as they are.
    clip : (float, float), optional
        Least and largest value of a raw pixel, to which each of both steps is limited. By default 0
        and 255 for uint8; floats are not limited, since their range is not known.

    Raises
    ------
    TypeError, ValueError
        If a setting is of the wrong kind or out of range.

    Notes
    -----
    Grey is 0.2989 red + 0.587 green + 0.114 blue for images of 3 channels, as in torchvision, and
    the mean of the channels for others. Unlike in torchvision, the order is fixed, and uint8 is not
    rounded. NumPy reference: `deepfs.reference.jitter`.

    References
    ----------
    ``torchvision.transforms.v2.ColorJitter``.

    Examples
    --------
    >>> ColorJitter(brightness=0.2).brightness
    (0.8, 1.2)
    """

    brightness: float | tuple[float, float] = 0.0
    contrast: float | tuple[float, float] = 0.0
    clip: tuple[float, float] | None = None

    kind = JITTER
    draws = 2

    def __post_init__(self) -> None:
        self.brightness = between(self.brightness, "brightness", "[0, inf)", 1.0)
        self.contrast = between(self.contrast, "contrast", "[0, inf)", 1.0)
        if self.clip is not None:
            if not isinstance(self.clip, (tuple, list)):
                raise TypeError(f"clip must be (low, high) or None, got {shown(self.clip)}")
            self.clip = between(self.clip, "clip", "(-inf, inf)")

    def numbers(self, u: Array, shape: Shape, raw: np.dtype[Any], epoch: int) -> tuple[Any, ...]:
        free = (0.0, 255.0) if raw == np.uint8 else (-np.inf, np.inf)
        factors = [
            scaled(u[:, k], between(ends, "", "[0, inf)"))
            for k, ends in enumerate((self.brightness, self.contrast))
        ]
        return *factors, *(self.clip or free)
