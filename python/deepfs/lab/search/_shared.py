"""Digits in three parts, and a small network that trains in milliseconds."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

import deepfs as dfs
from deepfs import layers as L

Data = tuple[Any, Any]


def digits(images: int, full: bool = False) -> tuple[Data, Data, Data]:
    """Return the first ``images`` digits, the last 1,000 of the training set, and the test set."""
    (x, y), test = dfs.datasets.mnist() if full else dfs.datasets.mnist_mini()
    return (x[:images], y[:images]), (x[-1000:], y[-1000:]), test


def small_model(
    rate: float, decay: float = 0.0, seed: int = 0, start: str = "he_normal", units: int = 20
) -> dfs.Model:
    """Return a model with one hidden layer, trained by SGD with a rate and a weight decay."""
    hidden, last = L.Dense(units, initializer=start), L.Dense(10, initializer=start)
    net = L.Sequential([L.Flatten(), hidden, L.ReLU(), last])
    return dfs.Model(net, "cross_entropy", dfs.optimizers.SGD(rate, weight_decay=decay), seed=seed)


def train(model: dfs.Model, data: Data, epochs: int) -> Any:
    """Train without a bar; return the loss of each epoch, inf for all if it became NaN.

    A loss that explodes is a result here, no reason for a warning.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        try:
            history = model.fit(*data, batch_size=20, epochs=epochs, verbose=0)
        except FloatingPointError:
            return np.full(epochs, np.inf)
    return np.array(history["loss"])


def accuracy(model: dfs.Model, data: Data) -> float:
    """Return the share of samples that a model classifies correctly."""
    logits = model.predict(data[0], batch_size=1000)
    return float(np.mean(logits.argmax(axis=1) == data[1]))
