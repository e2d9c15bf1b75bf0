"""The same operations in plain NumPy: slow, short, and obviously right.

Each is the twin of a layer, a loss or an optimizer step, and takes images as people read them,
``(n, c, h, w)``. Tests compare the kernels with them; step through them to see how one works.
A file here has the stem of the layers it explains: `deepfs.layers.pool`, ``reference/pool.py``.
"""

from .activation import relu, sigmoid, softmax, tanh
from .columns import col2im, im2col
from .conv import (
    conv1d,
    conv1d_backward,
    conv2d,
    conv2d_backward,
    conv_transpose2d,
    conv_transpose2d_backward,
    depthwise_conv2d,
    depthwise_conv2d_backward,
    separable_conv2d,
    separable_conv2d_backward,
)
from .dense import dense, dense_backward
from .dropout import (
    drop_connect,
    drop_connect_backward,
    dropout,
    gaussian_noise,
    philox,
    spatial_dropout,
)
from .group_norm import (
    group_norm,
    group_norm_backward,
    instance_norm,
    instance_norm_backward,
    layer_norm,
    layer_norm_backward,
)
from .losses import cross_entropy, mean_squared_error
from .norm import batch_norm
from .optimizers import adam, momentum, sgd
from .pool import (
    adaptive_avg_pool2d,
    adaptive_avg_pool2d_backward,
    avg_pool2d,
    avg_pool2d_backward,
    global_avg_pool2d,
    global_avg_pool2d_backward,
    global_max_pool2d,
    global_max_pool2d_backward,
    max_pool2d,
    max_pool2d_backward,
)
from .shape import (
    flatten,
    flatten_backward,
    reshape,
    reshape_backward,
    upsample2d,
    upsample2d_backward,
    zero_pad2d,
    zero_pad2d_backward,
)

__all__ = [
    "adam",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool2d_backward",
    "avg_pool2d",
    "avg_pool2d_backward",
    "batch_norm",
    "col2im",
    "conv1d",
    "conv1d_backward",
    "conv2d",
    "conv2d_backward",
    "conv_transpose2d",
    "conv_transpose2d_backward",
    "cross_entropy",
    "dense",
    "dense_backward",
    "depthwise_conv2d",
    "depthwise_conv2d_backward",
    "drop_connect",
    "drop_connect_backward",
    "dropout",
    "flatten",
    "flatten_backward",
    "gaussian_noise",
    "global_avg_pool2d",
    "global_avg_pool2d_backward",
    "global_max_pool2d",
    "global_max_pool2d_backward",
    "group_norm",
    "group_norm_backward",
    "im2col",
    "instance_norm",
    "instance_norm_backward",
    "layer_norm",
    "layer_norm_backward",
    "max_pool2d",
    "max_pool2d_backward",
    "mean_squared_error",
    "momentum",
    "philox",
    "relu",
    "reshape",
    "reshape_backward",
    "separable_conv2d",
    "separable_conv2d_backward",
    "sgd",
    "sigmoid",
    "softmax",
    "spatial_dropout",
    "tanh",
    "upsample2d",
    "upsample2d_backward",
    "zero_pad2d",
    "zero_pad2d_backward",
]
