"""Short trainings that look for mistakes: ``fast_dev_run``, ``overfit_batches`` of `fit`."""

from __future__ import annotations

from typing import Any, NamedTuple

from .._check import whole
from ..data.batches import DataSet, Stream


class Limits(NamedTuple):
    """How much of the data a `fit` takes: ``batches`` of training and validation, or all (None)."""

    batches: int | None = None
    dev: bool = False  # one epoch, and no file is written

    @classmethod
    def of(cls, fast_dev_run: Any, overfit_batches: Any, data: DataSet | Stream) -> Limits:
        """Return the limits that two arguments of `fit` set; False and 0 set none.

        Raises
        ------
        TypeError, ValueError
            If they are no such numbers, if both are given, or if an iterable is to be overfitted.
        """
        dev = whole(int(fast_dev_run) if isinstance(fast_dev_run, bool) else fast_dev_run,
                    "fast_dev_run, where it is not a bool,", 0)  # fmt: skip
        overfit = whole(overfit_batches, "overfit_batches", 0)
        if dev and overfit:
            raise ValueError("fast_dev_run takes one epoch, overfit_batches many: leave one out")
        if overfit and isinstance(data, Stream):
            raise TypeError(
                "overfit_batches repeats the same batches, and an iterable may yield others: give "
                "arrays"
            )
        return cls(dev or overfit or None, bool(dev))

    def epochs(self, epochs: int) -> int:
        """Return the number of epochs."""
        return min(epochs, 1) if self.dev else epochs

    def samples(self, samples: int | None, batch_size: int) -> int | None:
        """Return the number of samples of an epoch, if it is known."""
        if samples is None or self.batches is None:
            return samples
        return min(samples, self.batches * batch_size)
