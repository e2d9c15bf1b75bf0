"""Reference implementations in plain NumPy: short, slow, and easy to check.

Each computes what a layer, a loss or an optimizer step computes, on images in logical order,
``(n, c, h, w)``. Tests compare the kernels with them; step through one to see how it works.
A file here has the stem of the layers it explains: `deepfs.layers.pool`, ``reference/pool.py``.
"""

from .._public import public_names as _public_names
from .activation import (
    clip,
    clip_backward,
    elu,
    elu_backward,
    identity,
    identity_backward,
    leaky_relu,
    leaky_relu_backward,
    relu,
    relu_backward,
    selu,
    selu_backward,
    sigmoid,
    sigmoid_backward,
    softplus,
    softplus_backward,
    step,
    step_backward,
    tanh,
    tanh_backward,
)
from .augment import affine, affine_matrix, cutout, draws, flip, jitter, mix, shift, shrink, views
from .batch_norm import batch_norm, batch_norm_backward
from .branches import branches, branches_backward
from .checkpoint import checkpoint, checkpoint_backward
from .conv import conv2d, conv2d_backward
from .conv1d import conv1d, conv1d_backward
from .conv_transpose import conv_transpose2d, conv_transpose2d_backward
from .crop import crop2d, crop2d_backward
from .crop1d import crop1d, crop1d_backward
from .dense import dense, dense_backward
from .depthwise import depthwise_conv2d, depthwise_conv2d_backward
from .drop_connect import drop_connect, drop_connect_backward
from .dropout import dropout
from .flatten import flatten, flatten_backward
from .gaussian_noise import gaussian_noise
from .gelu import gelu, gelu_backward, hard_swish, hard_swish_backward, silu, silu_backward
from .global_pool import (
    adaptive_avg_pool2d,
    adaptive_avg_pool2d_backward,
    global_avg_pool2d,
    global_avg_pool2d_backward,
    global_max_pool2d,
    global_max_pool2d_backward,
)
from .global_pool1d import (
    adaptive_avg_pool1d,
    adaptive_avg_pool1d_backward,
    global_avg_pool1d,
    global_avg_pool1d_backward,
    global_max_pool1d,
    global_max_pool1d_backward,
)
from .graph import graph, graph_backward
from .group_norm import group_norm, group_norm_backward
from .im2col import col2im, im2col
from .initializers import dirac, orthogonal, patch_whitening
from .instance_norm import instance_norm, instance_norm_backward
from .layer_norm import layer_norm, layer_norm_backward
from .losses import (
    binary_cross_entropy,
    binary_cross_entropy_backward,
    class_targets,
    cross_entropy,
    cross_entropy_backward,
    hinge,
    hinge_backward,
    huber,
    huber_backward,
    mean_absolute_error,
    mean_absolute_error_backward,
    mean_squared_error,
    mean_squared_error_backward,
    negative_log_likelihood,
    negative_log_likelihood_backward,
)
from .maxout import maxout, maxout_backward
from .merge import (
    add,
    add_backward,
    concat,
    concat_backward,
    multiply,
    multiply_backward,
    subtract,
    subtract_backward,
)
from .optimizers import (
    adadelta,
    adagrad,
    adam,
    adamax,
    amsgrad,
    clip_norm,
    group_lasso,
    group_soft_threshold,
    l1,
    l2,
    lamb,
    lion,
    lookahead,
    max_norm,
    momentum,
    muon,
    nadam,
    nesterov,
    nesterov_two_points,
    radam,
    rmsprop,
    sgd,
    soft_threshold,
    weight_decay,
)
from .pool import (
    avg_pool2d,
    avg_pool2d_backward,
    max_pool2d,
    max_pool2d_backward,
    max_pool2d_indices,
)
from .pool1d import (
    avg_pool1d,
    avg_pool1d_backward,
    max_pool1d,
    max_pool1d_backward,
    max_pool1d_indices,
)
from .prelu import prelu, prelu_backward
from .random import philox
from .reshape import reshape, reshape_backward
from .residual import residual, residual_backward
from .resize import resize2d, resize2d_backward
from .separable import separable_conv2d, separable_conv2d_backward
from .sequential import sequential, sequential_backward
from .softmax import log_softmax, log_softmax_backward, softmax, softmax_backward
from .spatial_dropout import spatial_dropout
from .upsample import upsample2d, upsample2d_backward
from .upsample1d import upsample1d, upsample1d_backward
from .zero_pad import zero_pad2d, zero_pad2d_backward
from .zero_pad1d import zero_pad1d, zero_pad1d_backward

__all__ = [
    "adadelta",
    "adagrad",
    "adam",
    "adamax",
    "adaptive_avg_pool1d",
    "adaptive_avg_pool1d_backward",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool2d_backward",
    "add",
    "add_backward",
    "affine",
    "affine_matrix",
    "amsgrad",
    "avg_pool1d",
    "avg_pool1d_backward",
    "avg_pool2d",
    "avg_pool2d_backward",
    "batch_norm",
    "batch_norm_backward",
    "binary_cross_entropy",
    "binary_cross_entropy_backward",
    "branches",
    "branches_backward",
    "checkpoint",
    "checkpoint_backward",
    "class_targets",
    "clip",
    "clip_backward",
    "clip_norm",
    "col2im",
    "concat",
    "concat_backward",
    "conv1d",
    "conv1d_backward",
    "conv2d",
    "conv2d_backward",
    "conv_transpose2d",
    "conv_transpose2d_backward",
    "crop1d",
    "crop1d_backward",
    "crop2d",
    "crop2d_backward",
    "cross_entropy",
    "cross_entropy_backward",
    "cutout",
    "dense",
    "dense_backward",
    "depthwise_conv2d",
    "depthwise_conv2d_backward",
    "dirac",
    "draws",
    "drop_connect",
    "drop_connect_backward",
    "dropout",
    "elu",
    "elu_backward",
    "flatten",
    "flatten_backward",
    "flip",
    "gaussian_noise",
    "gelu",
    "gelu_backward",
    "global_avg_pool1d",
    "global_avg_pool1d_backward",
    "global_avg_pool2d",
    "global_avg_pool2d_backward",
    "global_max_pool1d",
    "global_max_pool1d_backward",
    "global_max_pool2d",
    "global_max_pool2d_backward",
    "graph",
    "graph_backward",
    "group_lasso",
    "group_norm",
    "group_norm_backward",
    "group_soft_threshold",
    "hard_swish",
    "hard_swish_backward",
    "hinge",
    "hinge_backward",
    "huber",
    "huber_backward",
    "identity",
    "identity_backward",
    "im2col",
    "instance_norm",
    "instance_norm_backward",
    "jitter",
    "l1",
    "l2",
    "lamb",
    "layer_norm",
    "layer_norm_backward",
    "leaky_relu",
    "leaky_relu_backward",
    "lion",
    "log_softmax",
    "log_softmax_backward",
    "lookahead",
    "max_norm",
    "max_pool1d",
    "max_pool1d_backward",
    "max_pool1d_indices",
    "max_pool2d",
    "max_pool2d_backward",
    "max_pool2d_indices",
    "maxout",
    "maxout_backward",
    "mean_absolute_error",
    "mean_absolute_error_backward",
    "mean_squared_error",
    "mean_squared_error_backward",
    "mix",
    "momentum",
    "multiply",
    "multiply_backward",
    "muon",
    "nadam",
    "negative_log_likelihood",
    "negative_log_likelihood_backward",
    "nesterov",
    "nesterov_two_points",
    "orthogonal",
    "patch_whitening",
    "philox",
    "prelu",
    "prelu_backward",
    "radam",
    "relu",
    "relu_backward",
    "reshape",
    "reshape_backward",
    "residual",
    "residual_backward",
    "resize2d",
    "resize2d_backward",
    "rmsprop",
    "selu",
    "selu_backward",
    "separable_conv2d",
    "separable_conv2d_backward",
    "sequential",
    "sequential_backward",
    "sgd",
    "shift",
    "shrink",
    "sigmoid",
    "sigmoid_backward",
    "silu",
    "silu_backward",
    "soft_threshold",
    "softmax",
    "softmax_backward",
    "softplus",
    "softplus_backward",
    "spatial_dropout",
    "step",
    "step_backward",
    "subtract",
    "subtract_backward",
    "tanh",
    "tanh_backward",
    "upsample1d",
    "upsample1d_backward",
    "upsample2d",
    "upsample2d_backward",
    "views",
    "weight_decay",
    "zero_pad1d",
    "zero_pad1d_backward",
    "zero_pad2d",
    "zero_pad2d_backward",
]


def __dir__() -> list[str]:
    return _public_names(globals())
