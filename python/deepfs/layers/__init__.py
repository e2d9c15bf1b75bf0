"""Layers: steps of a network with their derivatives. `Layer` says what they have in common."""

from ._base import Layer, Parameter
from .activation import ELU, SELU, Identity, LeakyReLU, ReLU, Sigmoid, Softplus, Step, Tanh
from .batch_norm import BatchNorm
from .branches import Branches
from .combine import Residual, Sequential
from .conv import Conv2D
from .conv_forms import Conv1D, DepthwiseConv2D, SeparableConv2D
from .conv_transpose import ConvTranspose2D
from .dense import Dense
from .dropout import DropConnect, Dropout, GaussianNoise, SpatialDropout
from .gated import GELU, HardSwish, SiLU
from .group_norm import GroupNorm, InstanceNorm, LayerNorm
from .maxout import Maxout
from .pool import AdaptiveAvgPool2D, AvgPool2D, GlobalAvgPool2D, GlobalMaxPool2D, MaxPool2D
from .prelu import PReLU
from .shape import Flatten, Reshape, Upsample2D, ZeroPad2D
from .softmax import LogSoftmax, Softmax

__all__ = [
    "ELU",
    "GELU",
    "SELU",
    "AdaptiveAvgPool2D",
    "AvgPool2D",
    "BatchNorm",
    "Branches",
    "Conv1D",
    "Conv2D",
    "ConvTranspose2D",
    "Dense",
    "DepthwiseConv2D",
    "DropConnect",
    "Dropout",
    "Flatten",
    "GaussianNoise",
    "GlobalAvgPool2D",
    "GlobalMaxPool2D",
    "GroupNorm",
    "HardSwish",
    "Identity",
    "InstanceNorm",
    "Layer",
    "LayerNorm",
    "LeakyReLU",
    "LogSoftmax",
    "MaxPool2D",
    "Maxout",
    "PReLU",
    "Parameter",
    "ReLU",
    "Reshape",
    "Residual",
    "SeparableConv2D",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "SpatialDropout",
    "Step",
    "Tanh",
    "Upsample2D",
    "ZeroPad2D",
]
