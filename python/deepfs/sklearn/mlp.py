"""Multi-layer perceptrons as estimators of scikit-learn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .. import layers as L
from .._check import one_of, whole
from ._base import Classifier, Regressor

ACTIVATIONS = {"relu": L.ReLU, "tanh": L.Tanh, "logistic": L.Sigmoid, "identity": L.Identity}


def perceptron(hidden: Any, activation: str, outputs: int) -> list[L.Layer]:
    """Return the layers of a multi-layer perceptron; their weights suit the activation."""
    one_of(activation, "activation", tuple(ACTIVATIONS))
    initializer = "he_normal" if activation == "relu" else "glorot_uniform"
    parts: list[L.Layer] = []
    for units in (hidden,) if isinstance(hidden, int) else hidden:
        units = whole(units, "hidden_layer_sizes")
        parts += [L.Dense(units, initializer=initializer), ACTIVATIONS[activation]()]
    return [*parts, L.Dense(outputs, initializer="glorot_uniform")]


@dataclass(eq=False, repr=False)
class Perceptron:
    """What both have in common: the network."""

    hidden_layer_sizes: Sequence[int] = (100,)
    activation: str = "relu"

    def _network(self, shape: tuple[int, ...], outputs: int) -> L.Layer:
        return L.Sequential(perceptron(self.hidden_layer_sizes, self.activation, outputs))


@dataclass(eq=False, repr=False)
class MLPClassifier(Perceptron, Classifier):
    """Multi-layer perceptron that predicts classes, as an estimator of scikit-learn.

    Parameters
    ----------
    hidden_layer_sizes : sequence of int
        Units of the hidden layers.
    activation : {"relu", "tanh", "logistic", "identity"}
        Activation of the hidden layers.
    class_weight : dict, "balanced" or None
        Weight of each class: a factor of the sample weight.
    **options
        Settings of every `Estimator`: optimizer, learning_rate_init, alpha, batch_size, max_iter,
        shuffle, random_state, tol, verbose, warm_start, early_stopping, validation_fraction,
        n_iter_no_change.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).standard_normal((200, 4))
    >>> y = np.where(X[:, 0] > 0, "yes", "no")
    >>> MLPClassifier(random_state=0).fit(X, y).score(X, y) > 0.9
    True
    """


@dataclass(eq=False, repr=False)
class MLPRegressor(Perceptron, Regressor):
    """Multi-layer perceptron that predicts numbers, as an estimator of scikit-learn.

    Parameters
    ----------
    hidden_layer_sizes, activation
        As of `MLPClassifier`.
    **options
        Settings of every `Estimator`.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).standard_normal((200, 4))
    >>> y = X[:, 0] - 2 * X[:, 1]
    >>> MLPRegressor(learning_rate_init=0.01, random_state=0).fit(X, y).score(X, y) > 0.9
    True
    """
