"""The learning-rate range test: what `Model.lr_find` measures."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .._arrays import Array
from ..random import Random, get_seed
from ..trainer import Trainer

SMOOTHING = 0.9  # share of the past in the smoothed loss
STREAM = 2**32 - 1  # of random numbers: one that no layer and no fit will get


@dataclass(frozen=True, eq=False)
class RangeTest:
    """Losses of a training whose learning rate grows from step to step.

    Attributes
    ----------
    lrs : array (steps,)
        The learning rates, a factor apart.
    losses : array (steps,)
        Of the batch before the step at each of them.
    smooth : array (steps,)
        Their exponential moving averages, corrected for the beginning as in Adam.
    """

    lrs: Array
    losses: Array
    smooth: Array

    @property
    def suggestion(self) -> float:
        """The rate at which the smoothed loss falls fastest, over the logarithm of the rate.

        Raises
        ------
        ValueError
            If it falls nowhere: the first rate is too large already.
        """
        fall = np.diff(self.smooth[: int(self.smooth.argmin()) + 1])
        if not len(fall) or fall.min() >= 0:
            raise ValueError(
                f"the loss falls at no rate from {self.lrs[0]:.2g} to {self.lrs[-1]:.2g}: "
                "lr_find needs another min_lr or more steps"
            )
        return float(self.lrs[int(fall.argmin())])


def range_test(
    trainer: Trainer, x: Array, y: Array, batch_size: int, rates: Array, stop: float
) -> RangeTest:
    """Train a copy, one step at each rate; see `Model.lr_find`."""
    copied = copy.deepcopy(trainer)
    lrs: list[float] = []
    losses: list[float] = []
    smooth: list[float] = []
    past = 0.0
    for t, (lr, picked) in enumerate(zip(rates, endless(len(x), batch_size), strict=False), 1):
        copied.optimizer.lr = float(lr)
        try:
            loss = copied.step([(x[picked], y[picked])])["loss"]
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
    """Give the indices of one batch after the other, epoch after epoch in a new order."""
    random = Random(get_seed(), STREAM)
    while True:
        order = random.permutation(samples)
        yield from (order[i : i + batch_size] for i in range(0, samples, batch_size))
