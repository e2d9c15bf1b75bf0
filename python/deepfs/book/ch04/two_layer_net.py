"""`TwoLayerNet` of chapter 4: sigmoid, and gradients written out."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..._arrays import Array
from ..common._networks import random_weights, share_right, zeros
from ..common.functions import cross_entropy_error, sigmoid, softmax
from ..common.gradient import numerical_gradient


class TwoLayerNet:
    """Two dense layers, with a sigmoid between them and a softmax at the end."""

    def __init__(
        self, input_size: int, hidden_size: int, output_size: int, weight_init_std: float = 0.01
    ) -> None:
        self.params = {
            "W1": random_weights(weight_init_std, input_size, hidden_size),
            "b1": zeros(hidden_size),
            "W2": random_weights(weight_init_std, hidden_size, output_size),
            "b2": zeros(output_size),
        }

    def predict(self, x: Array) -> Array:
        """Return probabilities."""
        return self._forward(x)[1]

    def _forward(self, x: Array) -> tuple[Array, Array]:
        p = self.params
        z = sigmoid(np.dot(x, p["W1"]) + p["b1"])
        return z, softmax(np.dot(z, p["W2"]) + p["b2"])

    def loss(self, x: Array, t: Array) -> Any:
        """Return the loss of a batch."""
        return cross_entropy_error(self.predict(x), t)

    def accuracy(self, x: Array, t: Array) -> Any:
        """Return the share of right classes."""
        return share_right(self.predict(x), t)

    def numerical_gradient(self, x: Array, t: Array) -> dict[str, Array]:
        """Return the gradients by differences."""
        return {
            key: numerical_gradient(lambda _: self.loss(x, t), w) for key, w in self.params.items()
        }

    def gradient(self, x: Array, t: Array) -> dict[str, Array]:
        """Return the gradients by the chain rule; ``t`` is one-hot."""
        z, y = self._forward(x)
        dy = (y - t) / len(x)
        da = np.dot(dy, self.params["W2"].T) * (1.0 - z) * z
        return {
            "W1": np.dot(x.T, da), "b1": da.sum(axis=0),
            "W2": np.dot(z.T, dy), "b2": dy.sum(axis=0),
        }  # fmt: skip
