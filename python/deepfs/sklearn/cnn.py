"""Convolutional networks as estimators of scikit-learn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

from .. import layers as L
from .._arrays import Array
from .._check import whole
from ._base import Classifier, Regressor
from .mlp import perceptron


@dataclass(eq=False, repr=False)
class Convolutional:
    """What both have in common: the network, and samples as images."""

    filters: Sequence[int] = (16, 32)
    kernel_size: int = 3
    hidden_layer_sizes: Sequence[int] = (100,)
    input_shape: Sequence[int] | None = field(default=None, kw_only=True)
    network: Any = field(default=None, kw_only=True)

    def _network(self, shape: tuple[int, ...], outputs: int) -> L.Layer:
        if self.network is not None:
            network = self.network(outputs)
            if not isinstance(network, L.Layer):
                raise TypeError(f"network(outputs) must return a deepfs Layer, got {network!r:.80}")
            return network
        size, (_, height, width) = whole(self.kernel_size, "kernel_size"), shape
        parts: list[L.Layer] = []
        for filters in self.filters:
            window = size if height > 1 else 1, size if width > 1 else 1
            parts += [L.Conv2D(whole(filters, "filters"), window, padding="same"), L.ReLU()]
            pool = min(2, height), min(2, width)
            if max(pool) > 1:
                parts.append(L.MaxPool2D(pool))
                height, width = height // pool[0], width // pool[1]
        head = perceptron(self.hidden_layer_sizes, "relu", outputs)
        return L.Sequential([*parts, L.Flatten(), *head])

    def _shaped(self, X: Array) -> Array:
        """Return samples as images (n, channels, height, width)."""
        if X.ndim != 2:
            return X
        shape = (1, 1, X.shape[1]) if self.input_shape is None else tuple(self.input_shape)
        if len(shape) != 3 or prod(shape) != X.shape[1]:
            raise ValueError(
                f"{type(self).__name__} takes input_shape=(channels, height, width) whose product "
                f"is the number of features, {X.shape[1]}, got {shape}"
            )
        return X.reshape(len(X), *shape)


@dataclass(eq=False, repr=False)
class CNNClassifier(Convolutional, Classifier):
    """Convolutional network that predicts classes of images, as an estimator of scikit-learn.

    Parameters
    ----------
    filters : sequence of int
        Filters of each block: convolution, ReLU, and max pooling by 2 where there is room.
    kernel_size : int
        Extent of the windows of the convolutions, whose padding keeps the size.
    hidden_layer_sizes : sequence of int
        Units of the dense hidden layers after the blocks.
    input_shape : (channels, height, width), optional
        Shape of an image, for samples that are rows. By default a row of numbers is an image of one
        channel and one pixel of height. Samples (n, channels, height, width) need none.
    network : function, optional
        ``network(outputs)`` returns a network of your own, such as `deepfs.networks.lenet5`, in
        place of the blocks.
    class_weight : dict, "balanced" or None
        Weight of each class: a factor of the sample weight.
    **options
        Settings of every `Estimator`, see `MLPClassifier`.

    Examples
    --------
    >>> import deepfs as dfs
    >>> (x, y), _ = dfs.datasets.mnist_mini()
    >>> X = x[:500].reshape(500, 784)
    >>> digits = CNNClassifier((8,), input_shape=(1, 28, 28), max_iter=20, random_state=0)
    >>> digits.fit(X, y[:500]).score(X, y[:500]) > 0.9
    True
    """


@dataclass(eq=False, repr=False)
class CNNRegressor(Convolutional, Regressor):
    """Convolutional network that predicts numbers about images, as an estimator of scikit-learn.

    Parameters
    ----------
    filters, kernel_size, hidden_layer_sizes, input_shape, network
        As of `CNNClassifier`.
    **options
        Settings of every `Estimator`, see `MLPClassifier`.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).random((200, 64))
    >>> y = X[:, :32].sum(axis=1) - X[:, 32:].sum(axis=1)  # upper half less lower half
    >>> bright = CNNRegressor((4,), input_shape=(1, 8, 8), learning_rate_init=0.01, random_state=0)
    >>> bright.fit(X, y).score(X, y) > 0.8
    True
    """
