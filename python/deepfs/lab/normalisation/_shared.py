"""Digits, networks and the training loop of the experiments on normalisation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import deepfs as dfs
from deepfs import layers as L

Part = Callable[[], L.Layer]


def digits(full: bool = False) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
    """Return training and test images with labels: 5,000 and 1,000 digits, or all of MNIST."""
    return dfs.datasets.mnist() if full else dfs.datasets.mnist_mini()


def network(
    hidden: list[int],
    norm: Part | None = None,
    *,
    activation: Part = L.ReLU,
    after: bool = False,
    initializer: Any = "he_normal",
) -> L.Sequential:
    """Return dense layers, each with a norm before or after its activation, and ten outputs."""
    parts: list[L.Layer] = [L.Flatten()]
    for units in hidden:
        parts.append(L.Dense(units, initializer=initializer))
        if norm is None:
            parts.append(activation())
        else:
            parts += [activation(), norm()] if after else [norm(), activation()]
    return L.Sequential([*parts, L.Dense(10, initializer=initializer)])


def classifier(net: L.Layer, rate: float, seed: int) -> dfs.Model:
    """Return a model that is trained by SGD on the cross-entropy."""
    return dfs.Model(net, dfs.losses.CrossEntropy(), dfs.optimizers.SGD(rate), seed=seed)


def train(model: dfs.Model, x: Any, y: Any, size: int, steps: int, seed: int) -> list[float]:
    """Train on random batches of ``size`` samples; return the losses, NaN where it diverged."""
    rng = np.random.default_rng(seed)
    losses: list[float] = []
    for _ in range(steps):
        batch = rng.integers(0, len(x), size)
        try:
            losses.append(float(model.train_on_batch(x[batch], y[batch])["loss"]))
        except FloatingPointError:  # the loss is NaN: the rate or the weights are too large
            losses += [float("nan")] * (steps - len(losses))
            break
    return losses
