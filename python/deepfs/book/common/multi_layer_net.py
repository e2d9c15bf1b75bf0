"""`MultiLayerNet`: the book's network of dense layers."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np

from ..._arrays import Array
from . import layers
from ._networks import go_back, random_weights, share_right, zeros
from .gradient import numerical_gradient
from .layers import *  # noqa: F403
from .layers import Affine, Relu, Sigmoid, SoftmaxWithLoss

__all__ = ["MultiLayerNet", "OrderedDict", "numerical_gradient", *layers.__all__]

GAINS = {"relu": 2.0, "he": 2.0, "sigmoid": 1.0, "xavier": 1.0}
ACTIVATIONS: dict[str, Any] = {"relu": Relu, "sigmoid": Sigmoid}


class MultiLayerNet:
    """Dense layers with an activation after each but the last, then softmax with loss.

    Parameters
    ----------
    input_size, output_size : int
        Numbers of inputs and of classes.
    hidden_size_list : list of int
        Neurons of each hidden layer.
    activation : {"relu", "sigmoid"}
        What follows each hidden layer.
    weight_init_std : float or {"relu", "he", "sigmoid", "xavier"}
        Standard deviation of the initial weights; sqrt(2 / n) for "relu" and "he", sqrt(1 / n) for
        "sigmoid" and "xavier".
    weight_decay_lambda : float
        Half of it times the sum of squared weights is added to the loss.

    Examples
    --------
    >>> network = MultiLayerNet(784, [100, 100], 10)
    >>> network.params["W2"].shape, list(network.layers)[:2]
    ((100, 100), ['Affine1', 'Activation_function1'])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size_list: list[int],
        output_size: int,
        activation: str = "relu",
        weight_init_std: Any = "relu",
        weight_decay_lambda: float = 0,
    ) -> None:
        if activation not in ACTIVATIONS:
            raise ValueError(f'activation must be "relu" or "sigmoid", got {activation!r}')
        self.input_size, self.output_size = input_size, output_size
        self.hidden_size_list = hidden_size_list
        self.hidden_layer_num = len(hidden_size_list)
        self.weight_decay_lambda = weight_decay_lambda
        self.params: dict[str, Array] = {}
        sizes = [input_size, *hidden_size_list, output_size]
        for i in range(1, len(sizes)):
            scale = standard_deviation(weight_init_std, sizes[i - 1])
            self.params[f"W{i}"] = random_weights(scale, sizes[i - 1], sizes[i])
            self.params[f"b{i}"] = zeros(sizes[i])
        self.layers: OrderedDict[str, Any] = OrderedDict()
        for i in range(1, self.hidden_layer_num + 1):
            self._add_affine(i)
            self._add_hidden(i, ACTIVATIONS[activation]())
        self._add_affine(self.hidden_layer_num + 1)
        self.last_layer = SoftmaxWithLoss()

    def _add_affine(self, i: int) -> None:
        self.layers[f"Affine{i}"] = Affine(self.params[f"W{i}"], self.params[f"b{i}"])

    def _add_hidden(self, i: int, activation: Any) -> None:
        """Add what follows a hidden layer."""
        self.layers[f"Activation_function{i}"] = activation

    def predict(self, x: Array) -> Array:
        """Return what goes into the softmax."""
        for layer in self.layers.values():
            x = layer.forward(x)
        return x

    def _with_decay(self, loss: Any) -> Any:
        rate = self.weight_decay_lambda
        if rate:
            for i in range(1, self.hidden_layer_num + 2):
                loss = loss + 0.5 * rate * np.sum(self.params[f"W{i}"] ** 2)
        return loss

    def loss(self, x: Array, t: Array) -> Any:
        """Return the loss of a batch."""
        return self._with_decay(self.last_layer.forward(self.predict(x), t))

    def accuracy(self, x: Array, t: Array) -> Any:
        """Return the share of right classes."""
        return share_right(self.predict(x), t)

    def numerical_gradient(self, x: Array, t: Array) -> dict[str, Array]:
        """Return the gradients by differences, two losses for each parameter."""
        return {
            key: numerical_gradient(lambda _: self.loss(x, t), w) for key, w in self.params.items()
        }

    def gradient(self, x: Array, t: Array) -> dict[str, Array]:
        """Return the gradients by backpropagation."""
        self.loss(x, t)
        go_back(self.layers.values(), self.last_layer)
        return self._collected()

    def _collected(self) -> dict[str, Array]:
        """Return the gradients that the layers keep."""
        grads = {}
        for i in range(1, self.hidden_layer_num + 2):
            layer = self.layers[f"Affine{i}"]
            if self.weight_decay_lambda:
                layer.dW += self.weight_decay_lambda * layer.W
            grads[f"W{i}"], grads[f"b{i}"] = layer.dW, layer.db
        return grads


def standard_deviation(given: Any, inputs: int) -> Any:
    """Return the standard deviation of initial weights, given as a number or by a name."""
    if isinstance(given, str):
        if given.lower() not in GAINS:
            raise ValueError(
                f"weight_init_std must be a number or one of {', '.join(GAINS)}, got {given!r}"
            )
        return np.sqrt(GAINS[given.lower()] / inputs)
    return given
