"""Random numbers of a sample: a function of the seed, the epoch, its number and a position.

The position is that of the transform in its list. The numbers are those of `deepfs.random`,
Philox4x32-10, with the number of the sample as index, the epoch as stream, and calls from 2**31 on,
which no stream of a layer reaches: augmentation shares no number with initial weights or dropout.
"""

from __future__ import annotations

import numpy as np

from cnn_core import image

from .._arrays import Array

CALLS = 2**31  # the first call of augmentation
PER_TRANSFORM = 16  # calls of one transform, at most; each gives two numbers


def draw(numbers: Array, count: int, seed: int, epoch: int, position: int) -> Array:
    """Return ``count`` uniform numbers in [0, 1) for each sample, ``(n, count)``."""
    found = np.empty((len(numbers), count))
    image.draw(found, numbers, seed, epoch % 2**32, CALLS + PER_TRANSFORM * position)
    return found


def generator(seed: int, epoch: int, number: int, position: int) -> np.random.Generator:
    """Return a generator for the function of one's own at this position, for one sample."""
    counter = np.array([0, position, epoch, number], np.uint64)
    key = np.array([seed, CALLS], np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=counter))


def symmetric_beta(u: Array, v: Array, alpha: float) -> Array:
    """Return numbers of the distribution Beta(alpha, alpha), from uniform ones in [0, 1).

    Student's t with 2 alpha degrees of freedom (Bailey, "Polar generation of random variates with
    the t-distribution", 1994), mapped to (0, 1): no number is rejected, so each sample needs two.
    """
    with np.errstate(over="ignore"):  # of a small alpha: then the result is 0 or 1
        t = np.sqrt((1 - u) ** (-1 / alpha) - 1) * np.cos(2 * np.pi * v)
    share: Array = (1 + np.sin(np.arctan(t))) / 2
    return share
