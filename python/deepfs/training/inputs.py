"""Checks of data and arguments before the first step."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .._arrays import Array, Shape
from .._check import array
from ..callbacks import Callback
from ..trainer import Trainer


def checked_inputs(x: ArrayLike) -> Array:
    """Return inputs as an array; raise ValueError if there are none, or one is NaN or infinite."""
    x = array(x, "Model")
    if x.ndim < 1 or len(x) == 0:
        raise ValueError(f"Model needs at least 1 sample, got inputs of shape {x.shape}")
    for start in range(0, len(x), 4096) if x.dtype.kind == "f" else ():
        good = np.isfinite(x[start : start + 4096].reshape(len(x[start : start + 4096]), -1))
        if not good.all():
            at = start + int(good.all(axis=1).argmin())
            raise ValueError(f"Model needs finite inputs, got NaN or infinity in sample {at}")
    return x


def check_targets(trainer: Trainer, x: Array, y: Array) -> None:
    """Raise an error for inputs of a wrong shape and for any wrong target."""
    trainer.network.prepare(x[:1])
    shape = trainer.network.out_shape(x.shape[1:])
    rows = max(1, 2**20 // max(1, math.prod(shape)))
    for start in range(0, len(y), rows):
        part = y[start : start + rows]
        trainer.loss.check_targets(np.zeros((len(part), *shape), trainer.network.built_dtype), part)


def check_last_batch(trainer: Trainer, samples: int, in_shape: Shape) -> None:
    """Raise ValueError if the network cannot train on the last batch of an epoch."""
    try:
        trainer.network.check_training((samples, *in_shape))
    except ValueError as error:
        raise ValueError(f"{error}: that would be the last batch of an epoch") from None


def checked_pairs(x: ArrayLike, y: ArrayLike) -> tuple[Array, Array]:
    """Return inputs and targets as arrays; raise ValueError if their numbers differ."""
    x, y = checked_inputs(x), array(y, "Model")
    if y.ndim < 1 or len(y) != len(x):
        raise ValueError(
            f"Model needs a target for each input, got {len(x)} inputs and targets {y.shape}"
        )
    return x, y


def checked_validation(data: Any) -> tuple[Array, Array]:
    """Return the pair of inputs and targets to validate on."""
    if not isinstance(data, (tuple, list)) or len(data) != 2:
        raise TypeError(f"validation_data must be inputs and targets, got {type(data)}")
    return checked_pairs(*data)


def checked_callbacks(callbacks: Any) -> tuple[Callback, ...]:
    """Return callbacks, or a single one, as a tuple."""
    given = (callbacks,) if isinstance(callbacks, Callback) else tuple(callbacks)
    for callback in given:
        if not isinstance(callback, Callback):
            raise TypeError(f"callbacks must be deepfs Callbacks, got {callback!r}")
    return given


def checked_batch(x: ArrayLike, y: ArrayLike, who: str) -> tuple[Array, Array]:
    """Return a batch as arrays; raise ValueError if it has no samples."""
    x, y = np.asarray(x), np.asarray(y)
    if x.ndim < 1 or len(x) == 0:
        raise ValueError(f"Model.{who} needs at least 1 sample, got shape {x.shape}")
    return x, y
