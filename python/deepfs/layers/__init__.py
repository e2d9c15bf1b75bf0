"""Layers: the steps of a network with their derivatives. `Layer` describes what all have in common.

For layers of your own there are functions for memory layout (`channels_last`, `channels_first`,
`physical`, `logical`, `flat_rows`, `empty`), `Container` for a layer made of layers, `Epilogue` for
fused operations, and checks of settings (`whole`, `number`, `flag`, `one_of`, `pair`, `padding`).
"""

# for layers of your own: public, but not part of `import *`
from .._arrays import Array as Array
from .._arrays import Shape as Shape
from .._arrays import channels_first as channels_first
from .._arrays import channels_last as channels_last
from .._arrays import empty as empty
from .._arrays import flat_rows as flat_rows
from .._arrays import ignore_overflow as ignore_overflow
from .._arrays import logical as logical
from .._arrays import physical as physical
from .._check import flag as flag
from .._check import number as number
from .._check import one_of as one_of
from .._check import padding as padding
from .._check import pair as pair
from .._check import whole as whole
from .._elsewhere import explain_absent as _explain_absent
from .._public import public_names as _public_names
from ._base import Layer
from ._container import Container as Container
from ._fusion import PLAIN as PLAIN
from ._fusion import Epilogue as Epilogue
from ._parameter import Parameter
from ._symbolic import Input
from .activation import ELU, SELU, Clip, Identity, LeakyReLU, ReLU, Sigmoid, Softplus, Step, Tanh
from .batch_norm import BatchNorm
from .branches import Branches
from .checkpoint import Checkpoint
from .conv import Conv2D
from .conv1d import Conv1D
from .conv_transpose import ConvTranspose2D
from .crop import Crop2D
from .crop1d import Crop1D
from .dense import Dense
from .depthwise import DepthwiseConv2D
from .drop_connect import DropConnect
from .dropout import Dropout
from .flatten import Flatten
from .gaussian_noise import GaussianNoise
from .gelu import GELU, HardSwish, SiLU
from .global_pool import AdaptiveAvgPool2D, GlobalAvgPool2D, GlobalMaxPool2D
from .global_pool1d import AdaptiveAvgPool1D, GlobalAvgPool1D, GlobalMaxPool1D
from .graph import Graph
from .group_norm import GroupNorm
from .instance_norm import InstanceNorm
from .layer_norm import LayerNorm
from .maxout import Maxout
from .merge import Add, Concat, Multiply, Subtract
from .pool import AvgPool2D, MaxPool2D
from .pool1d import AvgPool1D, MaxPool1D
from .prelu import PReLU
from .reshape import Reshape
from .residual import Residual
from .resize import Resize2D
from .separable import SeparableConv2D
from .sequential import Sequential
from .softmax import LogSoftmax, Softmax
from .spatial_dropout import SpatialDropout
from .upsample import Upsample2D
from .upsample1d import Upsample1D
from .zero_pad import ZeroPad2D
from .zero_pad1d import ZeroPad1D

__all__ = [
    "ELU",
    "GELU",
    "SELU",
    "AdaptiveAvgPool1D",
    "AdaptiveAvgPool2D",
    "Add",
    "AvgPool1D",
    "AvgPool2D",
    "BatchNorm",
    "Branches",
    "Checkpoint",
    "Clip",
    "Concat",
    "Conv1D",
    "Conv2D",
    "ConvTranspose2D",
    "Crop1D",
    "Crop2D",
    "Dense",
    "DepthwiseConv2D",
    "DropConnect",
    "Dropout",
    "Flatten",
    "GaussianNoise",
    "GlobalAvgPool1D",
    "GlobalAvgPool2D",
    "GlobalMaxPool1D",
    "GlobalMaxPool2D",
    "Graph",
    "GroupNorm",
    "HardSwish",
    "Identity",
    "Input",
    "InstanceNorm",
    "Layer",
    "LayerNorm",
    "LeakyReLU",
    "LogSoftmax",
    "MaxPool1D",
    "MaxPool2D",
    "Maxout",
    "Multiply",
    "PReLU",
    "Parameter",
    "ReLU",
    "Reshape",
    "Residual",
    "Resize2D",
    "SeparableConv2D",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "SpatialDropout",
    "Step",
    "Subtract",
    "Tanh",
    "Upsample1D",
    "Upsample2D",
    "ZeroPad1D",
    "ZeroPad2D",
]


def __dir__() -> list[str]:
    return _public_names(globals())


_explain_absent(__name__)
