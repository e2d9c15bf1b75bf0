"""`TwoLayerNet` of chapter 5: ReLU, and gradients by layers."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from ..._arrays import Array
from ..common._networks import go_back, random_weights, share_right, zeros
from ..common.gradient import numerical_gradient
from ..common.layers import Affine, Relu, SoftmaxWithLoss


class TwoLayerNet:
    """Two dense layers with a ReLU between them, then softmax with loss.

    Examples
    --------
    >>> network = TwoLayerNet(784, 50, 10)
    >>> list(network.layers), network.params["W1"].shape
    (['Affine1', 'Relu1', 'Affine2'], (784, 50))
    """

    def __init__(
        self, input_size: int, hidden_size: int, output_size: int, weight_init_std: float = 0.01
    ) -> None:
        p = self.params = {
            "W1": random_weights(weight_init_std, input_size, hidden_size),
            "b1": zeros(hidden_size),
            "W2": random_weights(weight_init_std, hidden_size, output_size),
            "b2": zeros(output_size),
        }
        self.layers: OrderedDict[str, Any] = OrderedDict(
            Affine1=Affine(p["W1"], p["b1"]), Relu1=Relu(), Affine2=Affine(p["W2"], p["b2"])
        )
        self.lastLayer = SoftmaxWithLoss()

    def predict(self, x: Array) -> Array:
        """Return what goes into the softmax."""
        for layer in self.layers.values():
            x = layer.forward(x)
        return x

    def loss(self, x: Array, t: Array) -> Any:
        """Return the loss of a batch."""
        return self.lastLayer.forward(self.predict(x), t)

    def accuracy(self, x: Array, t: Array) -> Any:
        """Return the share of right classes."""
        return share_right(self.predict(x), t)

    def numerical_gradient(self, x: Array, t: Array) -> dict[str, Array]:
        """Return the gradients by differences."""
        return {
            key: numerical_gradient(lambda _: self.loss(x, t), w) for key, w in self.params.items()
        }

    def gradient(self, x: Array, t: Array) -> dict[str, Array]:
        """Return the gradients by backpropagation."""
        self.loss(x, t)
        go_back(self.layers.values(), self.lastLayer)
        return {
            f"{letter}{i}": getattr(self.layers[f"Affine{i}"], f"d{letter}")
            for i in (1, 2)
            for letter in ("W", "b")
        }
