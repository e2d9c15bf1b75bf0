"""Mirrored images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .._arrays import Array, Shape
from .._check import number
from ._base import FLIP, Transform


@dataclass
class RandomHorizontalFlip(Transform):
    """Horizontal flip: mirror an image left to right, with a probability.

    Parameters
    ----------
    p : float
        The probability, in [0, 1].

    Raises
    ------
    TypeError, ValueError
        If ``p`` is not a number in [0, 1].

    Notes
    -----
    Column j becomes column w - 1 - j. Not for images whose class changes with it, such as digits.
    NumPy reference: `deepfs.reference.flip`.

    References
    ----------
    ``torchvision.transforms.v2.RandomHorizontalFlip``.

    Examples
    --------
    >>> from deepfs.augment import RandomHorizontalFlip, pipeline
    >>> x = np.array([[[[1, 2, 3]]]], np.uint8)
    >>> pipeline(RandomHorizontalFlip(p=1)).images(x, [0], [0], epoch=0, seed=0)
    array([[[[3., 2., 1.]]]], dtype=float32)
    """

    p: float = 0.5

    kind = FLIP
    draws = 1

    def __post_init__(self) -> None:
        self.p = number(self.p, "p", "[0, 1]")

    def numbers(self, u: Array, shape: Shape, raw: np.dtype[Any], epoch: int) -> tuple[Any, ...]:
        return 0, u[:, 0] < self.p


@dataclass
class RandomVerticalFlip(Transform):
    """Vertical flip: mirror an image top to bottom, with a probability.

    Parameters
    ----------
    p : float
        The probability, in [0, 1].

    Raises
    ------
    TypeError, ValueError
        If ``p`` is not a number in [0, 1].

    Notes
    -----
    Row i becomes row h - 1 - i. NumPy reference: `deepfs.reference.flip`.

    References
    ----------
    ``torchvision.transforms.v2.RandomVerticalFlip``.

    Examples
    --------
    >>> RandomVerticalFlip().p
    0.5
    """

    p: float = 0.5

    kind = FLIP
    draws = 1

    def __post_init__(self) -> None:
        self.p = number(self.p, "p", "[0, 1]")

    def numbers(self, u: Array, shape: Shape, raw: np.dtype[Any], epoch: int) -> tuple[Any, ...]:
        return u[:, 0] < self.p, 0


@dataclass
class AlternatingFlip(Transform):
    """Alternating flip: mirror each image left to right in every other epoch.

    In epoch 0, whether an image is mirrored is random, with probability 1/2; from then on it
    alternates. So two epochs in a row show each image both ways, where independent flips show half
    of the images twice the same way.

    Notes
    -----
    NumPy reference: `deepfs.reference.flip`.

    References
    ----------
    Jordan, "94% on CIFAR-10 in 3.29 seconds on a single GPU", 2024, arXiv:2404.00498.

    Examples
    --------
    >>> from deepfs.augment import AlternatingFlip, pipeline
    >>> x, flip = np.array([[[[1, 2, 3]]]], np.uint8), pipeline(AlternatingFlip())
    >>> first, second = (flip.images(x, [0], [0], epoch, seed=0) for epoch in (0, 1))
    >>> bool((first == second[..., ::-1]).all())
    True
    """

    kind = FLIP
    draws = 1
    each_epoch = False

    def numbers(self, u: Array, shape: Shape, raw: np.dtype[Any], epoch: int) -> tuple[Any, ...]:
        return 0, (u[:, 0] < 0.5) ^ (epoch % 2 == 1)
