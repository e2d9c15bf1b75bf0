"""Layers with the names of the book's ``common/layers.py``, computed by kernels.

As there, ``from deepfs.book.common.layers import *`` also gives ``np``, the functions, `im2col`
and `col2im`.
"""

import numpy as np

from ._affine import Affine
from ._batch_normalization import BatchNormalization
from ._convolution import Convolution
from ._elementwise import Dropout, Relu, Sigmoid
from ._pooling import Pooling
from ._softmax_with_loss import SoftmaxWithLoss
from .functions import (
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
from .util import col2im, im2col

__all__ = [
    "Affine",
    "BatchNormalization",
    "Convolution",
    "Dropout",
    "Pooling",
    "Relu",
    "Sigmoid",
    "SoftmaxWithLoss",
    "col2im",
    "cross_entropy_error",
    "identity_function",
    "im2col",
    "np",
    "relu",
    "relu_grad",
    "sigmoid",
    "sigmoid_grad",
    "softmax",
    "softmax_loss",
    "step_function",
    "sum_squared_error",
]
