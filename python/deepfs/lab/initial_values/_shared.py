"""Digits and networks of the experiments on initial values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import deepfs as dfs
from deepfs import layers as L


def digits(full: bool = False) -> tuple[Any, Any]:
    """Return training images and labels: of the 5,000 bundled digits, or of all of MNIST."""
    train, _ = dfs.datasets.mnist() if full else dfs.datasets.mnist_mini()
    return train


def dense_network(
    hidden: list[int], activation: Callable[[], L.Layer], initializer: Any
) -> L.Sequential:
    """Return dense layers with an activation between them, and ten outputs."""
    parts: list[L.Layer] = [L.Flatten()]
    for units in hidden:
        parts += [L.Dense(units, initializer=initializer), activation()]
    return L.Sequential([*parts, L.Dense(10, initializer=initializer)])
