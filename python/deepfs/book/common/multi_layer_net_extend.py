"""`MultiLayerNetExtend`: `MultiLayerNet` with dropout and batch normalisation."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from ..._arrays import Array
from . import layers
from ._networks import go_back, share_right, zeros
from .gradient import numerical_gradient
from .layers import *  # noqa: F403
from .layers import BatchNormalization, Dropout
from .multi_layer_net import MultiLayerNet

__all__ = ["MultiLayerNetExtend", "OrderedDict", "numerical_gradient", *layers.__all__]


class MultiLayerNetExtend(MultiLayerNet):
    """`MultiLayerNet` with batch normalisation before each activation and dropout after it.

    Parameters
    ----------
    input_size, hidden_size_list, output_size, activation, weight_init_std, weight_decay_lambda
        See `MultiLayerNet`.
    use_dropout : bool
        Whether to drop neurons, with probability ``dropout_ration`` (as the book spells it).
    dropout_ration : float
        That probability.
    use_batchnorm : bool
        Whether to normalise batches.

    Examples
    --------
    >>> network = MultiLayerNetExtend(784, [100], 10, use_batchnorm=True)
    >>> list(network.layers)
    ['Affine1', 'BatchNorm1', 'Activation_function1', 'Affine2']
    """

    def __init__(
        self,
        input_size: int,
        hidden_size_list: list[int],
        output_size: int,
        activation: str = "relu",
        weight_init_std: Any = "relu",
        weight_decay_lambda: float = 0,
        use_dropout: bool = False,
        dropout_ration: float = 0.5,
        use_batchnorm: bool = False,
    ) -> None:
        self.use_dropout, self.use_batchnorm = use_dropout, use_batchnorm
        self.dropout_ration = dropout_ration
        super().__init__(
            input_size, hidden_size_list, output_size, activation, weight_init_std,
            weight_decay_lambda,
        )  # fmt: skip

    def _add_hidden(self, i: int, activation: Any) -> None:
        if self.use_batchnorm:
            size = self.hidden_size_list[i - 1]
            gamma = self.params[f"gamma{i}"] = zeros(size) + 1
            beta = self.params[f"beta{i}"] = zeros(size)
            self.layers[f"BatchNorm{i}"] = BatchNormalization(gamma, beta)
        super()._add_hidden(i, activation)
        if self.use_dropout:
            self.layers[f"Dropout{i}"] = Dropout(self.dropout_ration)

    def predict(self, x: Array, train_flg: bool = False) -> Array:
        """Return what goes into the softmax."""
        for name, layer in self.layers.items():
            if name.startswith(("Dropout", "BatchNorm")):
                x = layer.forward(x, train_flg)
            else:
                x = layer.forward(x)
        return x

    def loss(self, x: Array, t: Array, train_flg: bool = False) -> Any:
        """Return the loss of a batch."""
        return self._with_decay(self.last_layer.forward(self.predict(x, train_flg), t))

    def accuracy(self, x: Array, t: Array) -> Any:
        """Return the share of right classes, in evaluation."""
        return share_right(self.predict(x, train_flg=False), t)

    def numerical_gradient(self, x: Array, t: Array) -> dict[str, Array]:
        """Return the gradients by differences, two losses in training for each parameter."""
        return {
            key: numerical_gradient(lambda _: self.loss(x, t, train_flg=True), w)
            for key, w in self.params.items()
        }

    def gradient(self, x: Array, t: Array) -> dict[str, Array]:
        """Return the gradients by backpropagation, in training."""
        self.loss(x, t, train_flg=True)
        go_back(self.layers.values(), self.last_layer)
        grads = self._collected()
        if self.use_batchnorm:
            for i in range(1, self.hidden_layer_num + 1):
                layer = self.layers[f"BatchNorm{i}"]
                grads[f"gamma{i}"], grads[f"beta{i}"] = layer.dgamma, layer.dbeta
        return grads
