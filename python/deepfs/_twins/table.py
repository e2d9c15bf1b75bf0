"""Which twin runs in the place of which layer: a row per layer of `deepfs.layers`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import layers as L
from .. import reference as r
from .._arrays import Array
from . import containers, random, windows
from .plain import Learned, Plain, Twin

NORM = ("gamma", "beta")


def of_height_one(
    f: Callable[..., Array], df: Callable[..., Array], window: Callable[..., tuple[Any, ...]]
) -> Plain:
    """Return the twin of a layer of sequences, by functions of images."""
    return Plain(
        lambda x, *a: f(x[:, :, None], *a)[:, :, 0],
        lambda x, dy, *a: df(x[:, :, None], dy[:, :, None], *a)[:, :, 0],
        window,
    )


TWINS: dict[type[L.Layer], Twin] = {
    L.Dense: Learned(r.dense, r.dense_backward),
    L.Conv2D: Learned(r.conv2d, r.conv2d_backward, settings=windows.conv),
    L.Conv1D: Learned(r.conv1d, r.conv1d_backward, settings=windows.conv1d),
    L.DepthwiseConv2D: Learned(
        r.depthwise_conv2d, r.depthwise_conv2d_backward, settings=windows.depthwise
    ),
    L.SeparableConv2D: Learned(
        r.separable_conv2d,
        r.separable_conv2d_backward,
        ("depthwise_weight", "pointwise_weight", "bias"),
        windows.depthwise,
    ),
    L.ConvTranspose2D: Learned(
        r.conv_transpose2d,
        r.conv_transpose2d_backward,
        settings=windows.transposed_forward,
        df_settings=windows.transposed,
    ),
    L.MaxPool2D: Plain(r.max_pool2d, r.max_pool2d_backward, windows.max_pool),
    L.MaxPool1D: Plain(r.max_pool1d, r.max_pool1d_backward, windows.max_pool),
    L.AvgPool2D: Plain(windows.avg_pool2d, windows.avg_pool2d_backward, windows.avg_pool),
    L.AvgPool1D: of_height_one(windows.avg_pool2d, windows.avg_pool2d_backward, windows.avg_pool),
    L.GlobalAvgPool2D: Plain(r.global_avg_pool2d, r.global_avg_pool2d_backward),
    L.GlobalMaxPool2D: Plain(r.global_max_pool2d, r.global_max_pool2d_backward),
    L.AdaptiveAvgPool2D: Plain(
        r.adaptive_avg_pool2d,
        r.adaptive_avg_pool2d_backward,
        lambda layer, shape: (layer._size,),
        lambda layer, shape: (),
    ),
    L.GlobalAvgPool1D: Plain(r.global_avg_pool1d, r.global_avg_pool1d_backward),
    L.GlobalMaxPool1D: Plain(r.global_max_pool1d, r.global_max_pool1d_backward),
    L.AdaptiveAvgPool1D: Plain(
        r.adaptive_avg_pool1d,
        r.adaptive_avg_pool1d_backward,
        lambda layer, shape: (layer.output_size,),
        lambda layer, shape: (),
    ),
    L.BatchNorm: random.BatchNorm(),
    L.LayerNorm: Learned(
        r.layer_norm, r.layer_norm_backward, NORM, lambda layer, shape: (layer.eps,)
    ),
    L.GroupNorm: Learned(
        lambda x, gamma, beta, groups, eps: r.group_norm(x, groups, gamma, beta, eps),
        lambda x, gamma, dy, groups, eps: r.group_norm_backward(x, groups, gamma, dy, eps),
        NORM,
        lambda layer, shape: (layer.groups, layer.eps),
    ),
    L.InstanceNorm: Learned(
        r.instance_norm, r.instance_norm_backward, NORM, lambda layer, shape: (layer.eps,)
    ),
    L.ReLU: Plain(r.relu, r.relu_backward),
    L.Sigmoid: Plain(r.sigmoid, r.sigmoid_backward),
    L.Tanh: Plain(r.tanh, r.tanh_backward),
    L.Step: Plain(r.step, r.step_backward),
    L.Identity: Plain(r.identity, r.identity_backward),
    L.Clip: Plain(r.clip, r.clip_backward, lambda layer, shape: layer._numbers()),
    L.LeakyReLU: Plain(r.leaky_relu, r.leaky_relu_backward, lambda layer, shape: (layer.slope,)),
    L.PReLU: Learned(
        r.prelu,
        lambda x, slope, dy: r.prelu_backward(x, dy, slope),
        ("slope",),
        last_in_df=True,
    ),
    L.ELU: Plain(r.elu, r.elu_backward, lambda layer, shape: (layer.alpha,)),
    L.SELU: Plain(r.selu, r.selu_backward, lambda layer, shape: (layer.alpha, layer.scale)),
    L.Softplus: Plain(r.softplus, r.softplus_backward),
    L.SiLU: Plain(r.silu, r.silu_backward),
    L.GELU: Plain(r.gelu, r.gelu_backward, lambda layer, shape: (layer.approximate,)),
    L.HardSwish: Plain(r.hard_swish, r.hard_swish_backward),
    L.Maxout: Plain(r.maxout, r.maxout_backward, lambda layer, shape: (layer.pieces,)),
    L.Softmax: Plain(r.softmax, r.softmax_backward),
    L.LogSoftmax: Plain(r.log_softmax, r.log_softmax_backward),
    L.Dropout: random.Dropout(),
    L.SpatialDropout: random.SpatialDropout(),
    L.DropConnect: random.DropConnect(),
    L.GaussianNoise: random.GaussianNoise(),
    L.Flatten: Plain(r.flatten, r.flatten_backward),
    L.Reshape: Plain(
        r.reshape,
        r.reshape_backward,
        lambda layer, shape: (layer.out_shape(shape[1:]),),
        lambda layer, shape: (),
    ),
    L.ZeroPad2D: Plain(r.zero_pad2d, r.zero_pad2d_backward, lambda layer, shape: (layer._sides,)),
    L.ZeroPad1D: Plain(r.zero_pad1d, r.zero_pad1d_backward, lambda layer, shape: (layer._ends,)),
    L.Crop2D: Plain(r.crop2d, r.crop2d_backward, lambda layer, shape: (layer._sides,)),
    L.Crop1D: Plain(r.crop1d, r.crop1d_backward, lambda layer, shape: (layer._ends,)),
    L.Upsample2D: Plain(
        r.upsample2d, r.upsample2d_backward, lambda layer, shape: (layer._factors,)
    ),
    L.Upsample1D: Plain(r.upsample1d, r.upsample1d_backward, lambda layer, shape: (layer.factor,)),
    L.Resize2D: Plain(
        r.resize2d,
        r.resize2d_backward,
        lambda layer, shape: (layer._size, layer.method),
        lambda layer, shape: (layer.method,),
    ),
    L.Sequential: containers.Sequential(),
    L.Residual: containers.Residual(),
    L.Branches: containers.Branches(),
    L.Checkpoint: containers.Checkpoint(),
    L.Graph: containers.Graph(),
    L.Add: containers.ADD,
    L.Subtract: containers.SUBTRACT,
    L.Multiply: containers.MULTIPLY,
    L.Concat: containers.CONCAT,
}
