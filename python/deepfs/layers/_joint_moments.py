"""Batch norm over several shards of a batch: statistics and sums, added in the order of shards."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from cnn_core import batch_norm

from .._arrays import Array

Exchange = Callable[[Any], list[Any]]  # from this shard's value to those of all, in their order


def moments(rows: Array, exchange: Exchange) -> tuple[int, Array, Array]:
    """Return number of rows, mean and biased variance of the rows of all shards, in float64.

    Those of each shard are computed first and joined by the formula of Chan, Golub and LeVeque,
    "Updating formulae and a pairwise algorithm for computing sample variances", 1979.
    """
    mean, var, unused = (np.zeros(rows.shape[1], rows.dtype) for _ in range(3))
    batch_norm.batch_moments(rows, unused, unused.copy(), mean, var, 0.0, False, 1.0)
    found = exchange((len(rows), mean.astype(np.float64), var.astype(np.float64)))
    count = sum(n for n, _, _ in found)
    joint: Array = sum(n * each for n, each, _ in found) / count
    squares: Array = sum(n * (own + (each - joint) ** 2) for n, each, own in found)
    return count, joint, squares / count


def gradient(
    rows: Array,
    drows: Array,
    mean: Array,
    inv_std: Array,
    gamma: Array,
    dx: Array | None,
    dgamma: Array,
    dbeta: Array,
    drelu: bool,
    exchange: Exchange,
) -> None:
    """Do what the kernel ``batch_norm_backward`` does for one shard, whose statistics are joint.

    dx = gamma inv_std (dy - mean(dy) - normal mean(dy normal)), with means over all shards.
    """
    own = np.zeros_like(mean), np.zeros_like(mean)
    batch_norm.batch_norm_backward(
        rows, drows, mean, inv_std, gamma, dx, *own, False, drelu
    )  # the statistics are constants to it: dx = gamma inv_std dy
    dgamma += own[0]
    dbeta += own[1]
    found = exchange((len(rows), *(each.astype(np.float64) for each in own)))
    if dx is None:
        return
    count = sum(n for n, _, _ in found)
    scale = gamma.astype(np.float64) * inv_std / count
    slope = scale * inv_std * sum(each for _, each, _ in found)
    shift = scale * sum(each for _, _, each in found)
    rest = (rows - mean) * slope.astype(rows.dtype) + shift.astype(rows.dtype)
    if drelu:
        rest *= rows > 0
    dx -= rest
