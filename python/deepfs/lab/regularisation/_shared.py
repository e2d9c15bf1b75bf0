"""Digits, networks and scores that the experiments of this group share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import deepfs as dfs
from deepfs import layers as L

Digits = tuple[tuple[Any, Any], tuple[Any, Any]]


def digits(images: int, full: bool = False) -> Digits:
    """Return the first ``images`` digits to train on, and all of the test set."""
    (x, y), test = dfs.datasets.mnist() if full else dfs.datasets.mnist_mini()
    return (x[:images], y[:images]), test


def dense_network(rates: Sequence[float], units: int, scaling: str = "train") -> L.Sequential:
    """Return a network with a hidden layer for each rate, behind it dropout of this rate."""
    parts: list[L.Layer] = [L.Flatten()]
    for p in rates:
        parts += [L.Dense(units), L.ReLU()]
        if p:
            parts.append(L.Dropout(p, scaling))
    return L.Sequential([*parts, L.Dense(10)])


def scores(model: dfs.Model, train: tuple[Any, Any], test: tuple[Any, Any]) -> tuple[float, ...]:
    """Return accuracy and loss on the training data, then on the test data, without dropout."""
    return tuple(
        model.evaluate(*data, batch_size=1000)[name]
        for data in (train, test)
        for name in ("accuracy", "loss")
    )
