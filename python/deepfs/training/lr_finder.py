"""The learning rate range test of `Model.lr_find`."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .._arrays import Array
from ..data.batches import DataSet
from ..random import Random, get_seed
from ..trainer import Trainer

SMOOTHING = 0.9  # weight of the past in the smoothed loss
STREAM = 2**32 - 1  # random stream that no layer and no fit uses


@dataclass(frozen=True, eq=False, repr=False)
class RangeTest:
    """Result of `Model.lr_find`: losses at growing learning rates.

    Attributes
    ----------
    lrs : array (steps,)
        The learning rates, which grow by a constant factor.
    losses : array (steps,)
        Loss of the batch before the step at each rate.
    smooth : array (steps,)
        Exponential moving averages of the losses, with bias correction as in Adam.
    """

    lrs: Array
    losses: Array
    smooth: Array

    @property
    def suggestion(self) -> float:
        """The rate at which the smoothed loss falls fastest, as a function of log(rate).

        The fall is that over a tenth of the rates around, so that one easy batch decides nothing.
        The first tenth is left out, as by fastai: few batches are in its averages.

        Raises
        ------
        ValueError
            If it falls at no rate: then the first rate is too large already.
        """
        skip, reach = len(self.smooth) // 10, len(self.smooth) // 20
        curve = self.smooth[skip : int(self.smooth.argmin()) + 1]
        fall = curve[2 * reach :] - curve[: -2 * reach] if reach else np.diff(curve)
        if not len(fall) or fall.min() >= 0:
            raise ValueError(
                f"the loss falls at no rate from {self.lrs[0]:.2g} to {self.lrs[-1]:.2g}: "
                "lr_find needs another min_lr or more steps"
            )
        return float(self.lrs[skip + reach + int(fall.argmin())])

    def __repr__(self) -> str:
        try:
            advice = f"suggestion {self.suggestion:.3g}"
        except ValueError:
            advice = "no suggestion: the loss falls at no rate"
        least = int(self.smooth.argmin())
        return (
            f"RangeTest of {len(self.lrs)} rates from {self.lrs[0]:.3g} to {self.lrs[-1]:.3g}: "
            f"smoothed loss {self.smooth[least]:.4g} at {self.lrs[least]:.3g}, {advice}"
        )


def range_test(
    trainer: Trainer, data: DataSet, batch_size: int, rates: Array, stop: float
) -> RangeTest:
    """Train a copy, one step at each rate; see `Model.lr_find`."""
    copied = copy.deepcopy(trainer)
    lrs: list[float] = []
    losses: list[float] = []
    smooth: list[float] = []
    past = 0.0
    for t, (lr, picked) in enumerate(
        zip(rates, endless(data.samples, batch_size), strict=False), 1
    ):
        copied.optimizer.lr = float(lr)
        try:
            loss = copied.step([data.take(picked)])["loss"]
        except FloatingPointError:
            break
        past = SMOOTHING * past + (1 - SMOOTHING) * loss
        lrs.append(float(lr))
        losses.append(loss)
        smooth.append(past / (1 - SMOOTHING**t))
        if smooth[-1] > stop * min(smooth):
            break
    return RangeTest(np.array(lrs), np.array(losses), np.array(smooth))


def endless(samples: int, batch_size: int) -> Iterator[Array]:
    """Yield the indices of batches without end, in a new order for each epoch."""
    random = Random(get_seed(), STREAM)
    while True:
        order = random.permutation(samples)
        yield from (order[i : i + batch_size] for i in range(0, samples, batch_size))
