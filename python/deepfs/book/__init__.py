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

import importlib
from typing import Any

from .._names import hint

_MODULES = {
    "_settings": ("get_dtype", "set_dtype"),
    "ch05.layer_naive": ("AddLayer", "MulLayer"),
    "ch05.two_layer_net": ("TwoLayerNet",),
    "ch07.simple_convnet": ("SimpleConvNet",),
    "ch08.deep_convnet": ("DeepConvNet",),
    "common._networks": ("load_pickle",),
    "common.functions": (
        "cross_entropy_error", "identity_function", "relu", "relu_grad", "sigmoid", "sigmoid_grad",
        "softmax", "softmax_loss", "step_function", "sum_squared_error",
    ),
    "common.gradient": ("numerical_gradient", "numerical_gradient_2d"),
    "common.layers": (
        "Affine", "BatchNormalization", "Convolution", "Dropout", "Pooling", "Relu", "Sigmoid",
        "SoftmaxWithLoss",
    ),
    "common.multi_layer_net": ("MultiLayerNet",),
    "common.multi_layer_net_extend": ("MultiLayerNetExtend",),
    "common.optimizer": ("AdaGrad", "Adam", "Momentum", "Nesterov", "RMSprop", "SGD"),
    "common.trainer": ("Trainer",),
    "common.util": ("col2im", "conv_output_size", "im2col", "shuffle_dataset", "smooth_curve"),
    "dataset.mnist": ("load_mnist",),
}  # fmt: skip
_HOME = {name: module for module, names in _MODULES.items() for name in names}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(importlib.import_module(f"deepfs.book.{_HOME[name]}"), name)
    elif name in ("common", "dataset", "ch04", "ch05", "ch07", "ch08"):
        value = importlib.import_module(f"deepfs.book.{name}")
    else:
        raise AttributeError(f"deepfs.book has no name {name!r}{hint(name, _HOME)}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return list(__all__)
