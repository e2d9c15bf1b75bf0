"""A summary of the training inputs, and a warning of inputs that lie far from them.

Kept are a few numbers per channel, of at most `LOOKED_AT` samples: the range of values, mean and
standard deviation, and the same of the means of single samples. The rules are made to stay silent
on ordinary data: a range must be left by as much as it is wide, and a mean must be further away
than some deviations of the means of samples, and outside of their range. A channel with one value
per sample, such as a column of a table, may have rare large values: it must be left by more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from .._arrays import Array

LOOKED_AT = 512  # samples in the summary
BLOCKS = 16  # they lie in so many blocks, evenly spaced, for data that is read by slices
PIECE_ENTRIES = 2**18  # of a block: larger samples lie in more blocks
MOST_ENTRIES = 2**23  # together
LEAST = 16  # samples without which a summary says nothing
OUTSIDE = 0.01  # share of the values of a channel that may lie outside
MANY = 0.05  # share of the channels that may be far away, where there are many
WIDTHS, WIDTHS_OF_ONE = 1.0, 10.0  # by which a range must be left; by single values
SEVERAL = 16  # samples whose mean is known well
DEVIATIONS = 6.0, 3.0  # of means of samples: of few, of several
SPREAD = 0.6, 0.3  # the same in deviations of single values, for samples that are all alike
NAMES = ("low", "high", "mean", "std", "mean_low", "mean_high", "mean_std")


@dataclass(frozen=True)
class InputSummary:
    """Statistics of the raw training inputs per channel, axis 1; each array is ``(c,)``.

    Attributes
    ----------
    low, high, mean, std : array
        Of all values.
    mean_low, mean_high, mean_std : array
        Range and standard deviation of the means of samples.
    """

    low: Array
    high: Array
    mean: Array
    std: Array
    mean_low: Array
    mean_high: Array
    mean_std: Array

    def arrays(self) -> dict[str, Array]:
        """Return the arrays by name."""
        return {name: getattr(self, name) for name in NAMES}

    @staticmethod
    def of_arrays(arrays: Mapping[str, Array]) -> InputSummary:
        """Return what `arrays` returned as a summary; raise ValueError if it is none."""
        shapes = {a.shape for a in arrays.values()}
        good = {*arrays} == {*NAMES} and len(shapes) == 1 and len(shapes.pop()) == 1
        if not good or not all(a.dtype == np.float64 for a in arrays.values()):
            raise ValueError(f"a summary of inputs has {', '.join(NAMES)}, got {', '.join(arrays)}")
        return InputSummary(**arrays)

    def edges(self, single: bool, several: bool) -> Edges:
        """Return where inputs may lie: of one value per sample, of several samples."""
        known: dict[tuple[bool, bool], Edges] = vars(self).setdefault("_edges", {})
        if (single, several) not in known:
            known[single, several] = self._edges_of(single, several)
        return known[single, several]

    def _edges_of(self, single: bool, several: bool) -> Edges:
        widths = WIDTHS_OF_ONE if single else WIDTHS
        away = widths * (self.high - self.low)
        allowed = np.maximum(DEVIATIONS[several] * self.mean_std, SPREAD[several] * self.std)
        margin = (self.mean_high - self.mean_low) * (0 if several else widths / 2)
        return Edges(
            self.low - away,
            self.high + away,
            np.minimum(self.mean - allowed, self.mean_low - margin),
            np.maximum(self.mean + allowed, self.mean_high + margin),
            bool(self.high.max() >= 100 and (self.low >= 0).all()),
        )


class Edges(NamedTuple):
    """Where values and means of inputs may lie, per channel."""

    low: Array
    high: Array
    mean_low: Array
    mean_high: Array
    bytes: bool  # inputs up to 1 would be of another unit

    def contain(self, low: Array, high: Array, mean: Array) -> bool:
        """Return whether inputs with these extremes and means are surely no surprise."""
        if self.bytes and high.max() <= 1:
            return False
        if len(low) == 1:  # a few microseconds less, of an inference of about 70
            return bool(
                self.low[0] <= low[0]
                and high[0] <= self.high[0]
                and self.mean_low[0] <= mean[0] <= self.mean_high[0]
            )
        good = (self.low <= low) & (high <= self.high)
        return bool((good & (self.mean_low <= mean) & (mean <= self.mean_high)).all())


def summarize(read: Callable[[slice], Any], samples: int) -> InputSummary | None:
    """Return the summary of inputs, given a function that reads a slice of them.

    None: there are very few, or each input is several arrays.
    """
    if samples < LEAST:
        return None
    first = read(slice(0, 1))
    if isinstance(first, (tuple, dict)) or first.size == 0:
        return None
    size = min(max(1, PIECE_ENTRIES // first.size), LOOKED_AT // BLOCKS, samples)
    blocks = min(
        -(-min(LOOKED_AT, max(LEAST, MOST_ENTRIES // first.size)) // size), samples // size
    )
    low, high, means, variances = [], [], [], []
    for start in np.linspace(0, samples - size, blocks).astype(int).tolist():
        values = by_channel(read(slice(start, start + size)))
        low.append(values.min(axis=(0, 2)))
        high.append(values.max(axis=(0, 2)))
        means.append(values.mean(axis=2))
        variances.append(values.var(axis=2))
    mean = np.concatenate(means)
    std = np.sqrt(np.concatenate(variances).mean(axis=0) + mean.var(axis=0))
    return InputSummary(
        np.min(low, axis=0), np.max(high, axis=0), mean.mean(axis=0), std,
        mean.min(axis=0), mean.max(axis=0), mean.std(axis=0),
    )  # fmt: skip


def by_channel(x: Array) -> Array:
    """Return samples as float64 ``(n, c, values)``."""
    values = x.astype(np.float64, copy=False)
    return values.reshape(len(x), x.shape[1] if x.ndim > 1 else 1, -1)


def what_is_far(summary: InputSummary, x: Array) -> str:
    """Return in words how inputs differ from the training inputs, and what to write; or ""."""
    channels = len(summary.low)
    if (x.shape[1] if x.ndim > 1 else 1) != channels:
        if x.ndim == 4 and x.shape[-1] == channels:
            return (
                f"inputs of shape {x.shape} have {x.shape[1]} channels, the training inputs had "
                f"{channels}: write x.transpose(0, 3, 1, 2)"
            )
        return f"inputs have {x.shape[1:2]} channels, the training inputs had {channels}"
    values = x.reshape(len(x), channels, -1)
    low, high = np.minimum.reduce(values, axis=(0, 2)), np.maximum.reduce(values, axis=(0, 2))
    mean = np.add.reduce(values, axis=(0, 2), dtype=np.float64) * (channels / max(x.size, 1))
    edges = summary.edges(values.shape[2] == 1, len(x) >= SEVERAL)
    if edges.contain(low, high, mean):
        return ""
    width = summary.high - summary.low
    if not ((low >= edges.low) & (high <= edges.high)).all():
        outside = (values < edges.low[:, None]) | (values > edges.high[:, None])
        if many((outside.mean(axis=(0, 2)) > OUTSIDE) & (width > 0)):
            return of_range(summary, values)
    if edges.bytes and 0 < float(high.max()) <= 1 and float(low.min()) >= 0:
        return of_range(summary, values)
    if not many(((mean < edges.mean_low) | (mean > edges.mean_high)) & (width > 0)):
        return ""
    text = f"inputs have the mean {listed(mean)}, the training inputs had {listed(summary.mean)}"
    ends = float(summary.low.min()), float(summary.high.max())
    mirrored = ends[0] + ends[1] - mean
    like_them = (mirrored >= edges.mean_low) & (mirrored <= edges.mean_high)
    inside = float(low.min()) >= ends[0] and float(high.max()) <= ends[1]
    if x.ndim == 4 and inside and like_them.all():
        whole = f"{ends[0] + ends[1]:.4g}"
        return f"{text}: they look like negatives, as dark digits on light; write {whole} - x"
    return f"{text}: prepare them as the training data was"


def many(far: Array) -> bool:
    """Return whether enough channels are far away: one of a few, more of many."""
    return bool(far.sum() >= max(1.0, MANY * far.size))


def of_range(summary: InputSummary, values: Array) -> str:
    """Return in words that inputs have another range, and what to write."""
    low, high = float(values.min()), float(values.max())
    least, most = float(summary.low.min()), float(summary.high.max())
    text = f"inputs are from {low:.4g} to {high:.4g}, the training inputs from {least:.4g} to "
    text += f"{most:.4g}"
    if least >= 0 and 0.5 < most <= 1 and low >= 0 and 1 < high <= 255:
        return f"{text}: write x / np.float32(255)"
    if least >= 0 and 100 <= most <= 255 and low >= 0 and high <= 1:
        return f"{text}: write x * np.float32(255)"
    return f"{text}: scale them as the training data was"


def listed(numbers: Array) -> str:
    """Return a few numbers as text."""
    text = ", ".join(f"{each:.3g}" for each in numbers[:3])
    return text + (", ..." if len(numbers) > 3 else "")
