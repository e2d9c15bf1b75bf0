"""How each kind of layer connects the channels of its input to those of its output.

A channel is an entry of the first axis of a sample: a channel of an image, or a feature of a row.
Layers are of three kinds. One that *mixes* makes each output of all inputs, by a weight. One that
*keeps channels apart* makes each output channel of one input channel. All others are taken as they
are: `why_whole` says why.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import layers as L
from .._arrays import Array, Shape
from ..layers import Layer
from ..layers._window import place_window

APART = (
    L.Step, L.Identity, L.Sigmoid, L.Tanh, L.ReLU, L.LeakyReLU, L.PReLU, L.ELU, L.SELU, L.GELU,
    L.SiLU, L.Softplus, L.HardSwish, L.BatchNorm, L.InstanceNorm, L.Dropout, L.SpatialDropout,
    L.Clip, L.GaussianNoise, L.MaxPool2D, L.AvgPool2D, L.MaxPool1D, L.AvgPool1D, L.GlobalAvgPool2D,
    L.GlobalMaxPool2D, L.GlobalAvgPool1D, L.GlobalMaxPool1D, L.AdaptiveAvgPool2D,
    L.AdaptiveAvgPool1D, L.Upsample2D, L.Upsample1D, L.Resize2D, L.ZeroPad2D, L.ZeroPad1D,
    L.Crop2D, L.Crop1D, L.DepthwiseConv2D,
)  # fmt: skip
MIXES = (L.Dense, L.DropConnect, L.Conv2D, L.Conv1D, L.ConvTranspose2D, L.SeparableConv2D)
WHOLE = {
    L.LayerNorm: "it normalizes all channels together",
    L.GroupNorm: "it normalizes channels in groups",
    L.Softmax: "it normalizes all channels together",
    L.LogSoftmax: "it normalizes all channels together",
    L.Maxout: "it compares neighbouring channels",
    L.Reshape: "its shape is a setting",
}
OWN = "how a layer of your own connects channels is not known"
# arrays with an entry per channel of a layer that keeps channels apart
PER_CHANNEL: dict[type, tuple[str, ...]] = {
    L.BatchNorm: ("gamma", "beta", "running_mean", "running_var"),
    L.InstanceNorm: ("gamma", "beta"),
    L.PReLU: ("slope",),
    L.DepthwiseConv2D: ("weight", "bias"),
}


def mixes(layer: Layer) -> bool:
    """Return whether a layer makes each output of all inputs, by a weight."""
    return type(layer) in MIXES and getattr(layer, "groups", 1) == 1


def keeps_apart(layer: Layer, own: tuple[type, ...]) -> bool:
    """Return whether each output channel of a layer depends on one input channel.

    ``own`` are classes of the user's of which that is known, if they have no arrays.
    """
    arrays = bool(layer.parameters() or layer.buffers())
    return type(layer) in APART or (isinstance(layer, own) and not arrays)


def why_whole(layer: Layer) -> str:
    """Return why the channels of a layer cannot be removed."""
    if type(layer) in MIXES:
        return f"it has groups={getattr(layer, 'groups', 1)}"
    return WHOLE.get(type(layer), OWN)


def width_setting(layer: Layer) -> str:
    """Return the name of the setting that is the number of outputs of a layer that mixes."""
    return "units" if isinstance(layer, (L.Dense, L.DropConnect)) else "filters"


def per_channel(layer: Layer) -> tuple[str, ...]:
    """Return the names of the arrays with an entry per output channel, of a layer that is built."""
    if isinstance(layer, L.PReLU) and not layer.per_channel:
        return ()
    there = {*layer.learned, *layer.buffered}
    return tuple(name for name in PER_CHANNEL.get(type(layer), ()) if name in there)


def out_axis(layer: Layer) -> tuple[str, int]:
    """Return the name of the weight of a layer that mixes, and the axis of its outputs."""
    if isinstance(layer, L.SeparableConv2D):
        return "pointwise_weight", 0
    return "weight", int(isinstance(layer, (L.Dense, L.DropConnect, L.ConvTranspose2D)))


def axes_of(layer: Layer, inputs: Array, outputs: Array) -> dict[str, dict[int, Array]]:
    """Return what is kept of the arrays of a layer that mixes: by name, masks of their axes.

    ``inputs`` and ``outputs`` are masks of the channels.
    """
    bias: dict[str, dict[int, Array]] = {"bias": {0: outputs}} if "bias" in layer.learned else {}
    if isinstance(layer, L.SeparableConv2D):
        between = np.repeat(inputs, layer.multiplier)
        weights = {"depthwise_weight": {0: between}, "pointwise_weight": {0: outputs, 1: between}}
        return weights | bias
    name, axis = out_axis(layer)
    return {name: {axis: outputs, 1 - axis: inputs}} | bias


def weight_rows(layer: Layer) -> Array:
    """Return the weight of a layer that mixes as (outputs, inputs, taps)."""
    learned = layer.learned
    if isinstance(layer, L.SeparableConv2D):
        first, second = learned["depthwise_weight"].value, learned["pointwise_weight"].value
        product = second.reshape(len(second), -1, 1) * first.reshape(1, len(first), -1)
        return product.reshape(len(second), len(first) // layer.multiplier, -1)
    weight = learned["weight"].value
    if out_axis(layer)[1] == 1:
        weight = weight.swapaxes(0, 1)
    return weight.reshape(*weight.shape[:2], -1)


def folds(layer: Layer, in_shape: Shape) -> bool:
    """Return whether a constant input channel adds the same number to all pixels of an output."""
    if isinstance(layer, L.Dense):
        return True
    if isinstance(layer, L.SeparableConv2D):
        window = layer.kernel_size, layer.stride, layer.padding, layer.dilation
        place: Any = place_window(layer.label, in_shape[1:], *window)
    elif isinstance(layer, (L.Conv2D, L.Conv1D)):
        place = layer._place(*in_shape[1:])
    else:
        return False
    return not any((place.top, place.bottom, place.left, place.right))


def why_not_folded(layer: Layer) -> str:
    """Return what a layer does with a constant that its bias cannot do."""
    if isinstance(layer, L.ConvTranspose2D):
        return "gives pixels different shares of"
    return "drops weights of" if isinstance(layer, L.DropConnect) else "puts zeros beside"


def silent(layer: Layer, tolerance: float) -> Array | None:
    """Return a mask of the output channels of a layer that do not depend on its input.

    None if there are no weights to tell it by.
    """
    if isinstance(layer, L.DepthwiseConv2D):
        weight = layer.learned["weight"].value
        return np.abs(weight).max(axis=(1, 2, 3)) <= tolerance
    if isinstance(layer, (L.BatchNorm, L.InstanceNorm)) and layer.affine:
        return np.abs(layer.learned["gamma"].value) <= tolerance
    return None
