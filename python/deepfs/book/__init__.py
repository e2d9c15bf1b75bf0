"""The names of K. Saitoh's *Deep Learning from Scratch* (O'Reilly, 2016), on deepfs's kernels.

``from deepfs.book import Convolution, Adam, load_mnist`` gives the book's classes and functions,
with its signatures and numbers; ``deepfs.book.common.layers`` and so on are its modules, and
``deepfs book FOLDER`` lays them beside your chapters. See docs/book.md; what differs from the book
is in docs/errata.md.

>>> import numpy as np
>>> from deepfs.book import Affine
>>> layer = Affine(np.eye(2), np.zeros(2))
>>> layer.forward(np.ones((1, 2)))
array([[1., 1.]])
"""

from __future__ import annotations

from typing import Any

from .._names import hint
from ._settings import get_dtype, set_dtype
from .ch05.layer_naive import AddLayer, MulLayer
from .ch05.two_layer_net import TwoLayerNet
from .ch07.simple_convnet import SimpleConvNet
from .ch08.deep_convnet import DeepConvNet
from .common._networks import load_pickle
from .common.functions import (
    cross_entropy_error,
    identity_function,
    relu,
    relu_grad,
    sigmoid,
    sigmoid_grad,
    softmax,
    softmax_loss,
    step_function,
    sum_squared_error,
)
from .common.gradient import numerical_gradient, numerical_gradient_2d
from .common.layers import (
    Affine,
    BatchNormalization,
    Convolution,
    Dropout,
    Pooling,
    Relu,
    Sigmoid,
    SoftmaxWithLoss,
)
from .common.multi_layer_net import MultiLayerNet
from .common.multi_layer_net_extend import MultiLayerNetExtend
from .common.optimizer import SGD, AdaGrad, Adam, Momentum, Nesterov, RMSprop
from .common.trainer import Trainer
from .common.util import col2im, conv_output_size, im2col, shuffle_dataset, smooth_curve
from .dataset.mnist import load_mnist

__all__ = [
    "SGD",
    "AdaGrad",
    "Adam",
    "AddLayer",
    "Affine",
    "BatchNormalization",
    "Convolution",
    "DeepConvNet",
    "Dropout",
    "Momentum",
    "MulLayer",
    "MultiLayerNet",
    "MultiLayerNetExtend",
    "Nesterov",
    "Pooling",
    "RMSprop",
    "Relu",
    "Sigmoid",
    "SimpleConvNet",
    "SoftmaxWithLoss",
    "Trainer",
    "TwoLayerNet",
    "col2im",
    "conv_output_size",
    "cross_entropy_error",
    "get_dtype",
    "identity_function",
    "im2col",
    "load_mnist",
    "load_pickle",
    "numerical_gradient",
    "numerical_gradient_2d",
    "relu",
    "relu_grad",
    "set_dtype",
    "shuffle_dataset",
    "sigmoid",
    "sigmoid_grad",
    "smooth_curve",
    "softmax",
    "softmax_loss",
    "step_function",
    "sum_squared_error",
]


def __getattr__(name: str) -> Any:
    raise AttributeError(f"deepfs.book has no name {name!r}{hint(name, __all__)}")


def __dir__() -> list[str]:
    return list(__all__)
