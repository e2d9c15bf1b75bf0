"""`SimpleConvNet` of chapter 7."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from ..._arrays import Array
from ..common import _networks as shared
from ..common.gradient import numerical_gradient
from ..common.layers import Affine, Convolution, Pooling, Relu, SoftmaxWithLoss

CONV = {"filter_num": 30, "filter_size": 5, "pad": 0, "stride": 1}


class SimpleConvNet(shared.ConvNet):
    """conv - relu - pool - affine - relu - affine - softmax.

    Parameters
    ----------
    input_dim : (int, int, int)
        Channels, height and width of the images, which are square.
    conv_param : dict
        "filter_num", "filter_size", "pad" and "stride" of the convolution.
    hidden_size, output_size : int
        Neurons of the hidden dense layer, classes.
    weight_init_std : float
        Standard deviation of the initial weights.

    Examples
    --------
    >>> network = SimpleConvNet()
    >>> sum(array.size for array in network.params.values())
    433890
    """

    def __init__(
        self,
        input_dim: tuple[int, int, int] = (1, 28, 28),
        conv_param: Mapping[str, int] = CONV,
        hidden_size: int = 100,
        output_size: int = 10,
        weight_init_std: float = 0.01,
    ) -> None:
        filters, size = conv_param["filter_num"], conv_param["filter_size"]
        pad, stride, std = conv_param["pad"], conv_param["stride"], weight_init_std
        side = (input_dim[1] - size + 2 * pad) // stride + 1
        pooled = filters * (side // 2) ** 2
        p = self.params = {
            "W1": shared.random_weights(std, filters, input_dim[0], size, size),
            "b1": shared.zeros(filters),
            "W2": shared.random_weights(std, pooled, hidden_size),
            "b2": shared.zeros(hidden_size),
            "W3": shared.random_weights(std, hidden_size, output_size),
            "b3": shared.zeros(output_size),
        }
        self.layers: OrderedDict[str, Any] = OrderedDict(
            Conv1=Convolution(p["W1"], p["b1"], stride, pad), Relu1=Relu(),
            Pool1=Pooling(pool_h=2, pool_w=2, stride=2),
            Affine1=Affine(p["W2"], p["b2"]), Relu2=Relu(), Affine2=Affine(p["W3"], p["b3"]),
        )  # fmt: skip
        self.last_layer = SoftmaxWithLoss()

    def predict(self, x: Array) -> Array:
        """Return what goes into the softmax."""
        for layer in self.layers.values():
            x = layer.forward(x)
        return x

    def numerical_gradient(self, x: Array, t: Array) -> dict[str, Array]:
        """Return the gradients by differences."""
        return {
            key: numerical_gradient(lambda _: self.loss(x, t), w) for key, w in self.params.items()
        }
