"""Means, standard deviations and covariances of a training set, in passes over its batches.

All sums are in float64. Sums of batches are added with the rounding error of each addition kept
apart (Neumaier 1974), and deviations are taken from the mean, not as a difference of squares, so
that a large mean does not swallow a small deviation. What is constant is found by comparing its
least and largest value: then its mean is that value, and its deviation exactly 0.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cnn_core import gemm

from .._arrays import Array
from ._base import Passes

PER = ("feature", "channel", "all")


class Moments(NamedTuple):
    """Mean and standard deviation (divided by n, not n - 1), and the number of samples."""

    mean: Array
    std: Array
    samples: int


class Sum:
    """A compensated sum of arrays of one shape."""

    def __init__(self) -> None:
        self.total: Array = np.zeros(())
        self.rest: Array = np.zeros(())

    def add(self, more: Array) -> None:
        """Add an array; keep what rounding takes away."""
        new = self.total + more
        larger = np.abs(self.total) >= np.abs(more)
        lost = np.where(larger, (self.total - new) + more, (more - new) + self.total)
        self.total, self.rest = new, self.rest + lost

    def value(self) -> Array:
        """Return the sum."""
        return self.total + self.rest


def axes_of(per: str, ndim: int) -> tuple[int, ...]:
    """Return the axes over which a statistic is taken, of batches with ``ndim`` axes."""
    if per == "feature":
        return (0,)
    if per == "channel":
        return tuple(axis for axis in range(ndim) if axis != 1)
    return tuple(range(ndim))


def spread(value: Array, per: str, ndim: int) -> Array:
    """Return a statistic in a shape that broadcasts against batches with ``ndim`` axes."""
    if per == "channel" and ndim > 2:
        return value.reshape((-1,) + (1,) * (ndim - 2))
    return value


def mean_of(passes: Passes, per: str) -> tuple[Array, Array, int, int]:
    """Return the mean, where values are constant, and the numbers of samples and of terms."""
    total, samples, terms = Sum(), 0, 0
    low = high = np.zeros(())
    for x in passes():
        axes = axes_of(per, x.ndim)
        total.add(np.sum(x, axis=axes))
        least, most = x.min(axis=axes), x.max(axis=axes)
        low = np.minimum(low, least) if samples else least
        high = np.maximum(high, most) if samples else most
        samples += len(x)
        terms += int(np.prod([x.shape[axis] for axis in axes]))
    constant = low == high
    mean = np.where(constant, low, total.value() / terms)
    return np.asarray(mean), np.asarray(constant), samples, terms


def moments(passes: Passes, per: str) -> Moments:
    """Return mean and standard deviation, in two passes."""
    mean, constant, samples, terms = mean_of(passes, per)
    first, second = Sum(), Sum()
    for x in passes():
        axes = axes_of(per, x.ndim)
        d = x - spread(mean, per, x.ndim)
        first.add(np.sum(d, axis=axes))
        second.add(np.sum(np.square(d, out=d), axis=axes))
    # what rounding of the mean leaves in the sum of deviations is taken off (Chan et al. 1983)
    variance = np.maximum(second.value() - first.value() ** 2 / terms, 0) / terms
    return Moments(mean, np.where(constant, 0, np.sqrt(variance)), samples)


def covariance(passes: Passes) -> tuple[Array, Array, int]:
    """Return the mean of samples, their covariance (d, d) divided by n, and n; in two passes."""
    mean, _, samples, _ = mean_of(passes, "feature")
    total = np.zeros((mean.size, mean.size))
    for x in passes():
        d = np.ascontiguousarray((x - mean).reshape(len(x), -1))
        gemm.gemm(d, d, total, trans_a=True, accumulate=True)
    return mean, (total + total.T) / (2 * samples), samples
