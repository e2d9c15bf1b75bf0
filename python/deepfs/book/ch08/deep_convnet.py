"""`DeepConvNet` of chapter 8."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..._arrays import Array
from ..common import _networks as shared
from ..common.layers import Affine, Convolution, Dropout, Pooling, Relu, SoftmaxWithLoss

Conv = Mapping[str, int]


def _conv(filters: int, pad: int = 1) -> Conv:
    return {"filter_num": filters, "filter_size": 3, "pad": pad, "stride": 1}


class DeepConvNet(shared.ConvNet):
    """Three times (conv - relu - conv - relu - pool), affine - relu - dropout - affine - dropout.

    Parameters
    ----------
    input_dim : (int, int, int)
        Channels, height and width of the images.
    conv_param_1 ... conv_param_6 : dict
        "filter_num", "filter_size", "pad" and "stride" of each convolution.
    hidden_size, output_size : int
        Neurons of the hidden dense layer, classes.

    Examples
    --------
    >>> network = DeepConvNet()
    >>> sum(array.size for array in network.params.values())
    123552
    """

    def __init__(
        self,
        input_dim: tuple[int, int, int] = (1, 28, 28),
        conv_param_1: Conv = _conv(16),  # noqa: B008 - constants, as the book writes them
        conv_param_2: Conv = _conv(16),  # noqa: B008
        conv_param_3: Conv = _conv(32),  # noqa: B008
        conv_param_4: Conv = _conv(32, pad=2),  # noqa: B008
        conv_param_5: Conv = _conv(64),  # noqa: B008
        conv_param_6: Conv = _conv(64),  # noqa: B008
        hidden_size: int = 50,
        output_size: int = 10,
    ) -> None:
        convs = conv_param_1, conv_param_2, conv_param_3, conv_param_4, conv_param_5, conv_param_6
        self.params: dict[str, Array] = {}
        self.layers: list[Any] = []
        c, h, w = input_dim
        for i, conv in enumerate(convs, 1):
            filters, size, pad = conv["filter_num"], conv["filter_size"], conv["pad"]
            parameters = self._parameters(i, c * size * size, (filters, c, size, size))
            self.layers += [Convolution(*parameters, conv["stride"], pad), Relu()]
            c = filters
            h, w = ((side + 2 * pad - size) // conv["stride"] + 1 for side in (h, w))
            if i % 2 == 0:
                self.layers.append(Pooling(pool_h=2, pool_w=2, stride=2))
                h, w = h // 2, w // 2
        inputs = c * h * w
        self.layers += [Affine(*self._parameters(7, inputs, (inputs, hidden_size))), Relu()]
        self.layers += [
            Dropout(0.5),
            Affine(*self._parameters(8, hidden_size, (hidden_size, output_size))),
            Dropout(0.5),
        ]
        self.last_layer = SoftmaxWithLoss()

    def _parameters(self, i: int, inputs: int, shape: tuple[int, ...]) -> tuple[Array, Array]:
        """Make the weights and the bias of layer ``i``, by He's rule."""
        units = shape[0] if len(shape) == 4 else shape[1]
        self.params[f"W{i}"] = shared.random_weights(np.sqrt(2.0 / inputs), *shape)
        self.params[f"b{i}"] = shared.zeros(units)
        return self.params[f"W{i}"], self.params[f"b{i}"]

    def predict(self, x: Array, train_flg: bool = False) -> Array:
        """Return what goes into the softmax."""
        for layer in self.layers:
            x = layer.forward(x, train_flg) if isinstance(layer, Dropout) else layer.forward(x)
        return x

    def loss(self, x: Array, t: Array) -> Any:
        """Return the loss of a batch, in training."""
        return self.last_layer.forward(self.predict(x, train_flg=True), t)
