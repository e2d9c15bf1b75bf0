"""Normalizations of ONNX files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import layers as L
from .._arrays import Array
from ._import_file import Node
from ._import_values import Refused, Value, axis_in, reads

if TYPE_CHECKING:
    from ._import_net import Importer


def check_sizes(weights: dict[str, Array], channels: int) -> None:
    """Refuse arrays that do not have a number for each channel."""
    for key, array in weights.items():
        if array.shape != (channels,):
            raise Refused(f"its {key} has shape {array.shape}, and its input {channels} channels")


@reads("BatchNormalization")
def batch_norm(net: Importer, node: Node) -> Value:
    x, settings = net.tensor(node), node.attributes
    if settings.get("training_mode", 0):
        raise Refused(
            "it normalizes by the batch in inference (training_mode), and deepfs in training only: "
            "export the model in evaluation mode"
        )
    keys = ("gamma", "beta", "running_mean", "running_var")
    weights = {key: net.array(node, index) for index, key in enumerate(keys, 1)}
    check_sizes(weights, x.shape[0])
    layer = L.BatchNorm(
        settings.get("momentum", 0.9), settings.get("epsilon", 1e-5), running_variance="biased"
    )
    made = net.learned(node, layer, x, weights)
    return Value(made, made.shape)


@reads("InstanceNormalization")
def instance_norm(net: Importer, node: Node) -> Value:
    x, eps = net.value(node), node.attributes.get("epsilon", 1e-5)
    weights = {"gamma": net.array(node, 1), "beta": net.array(node, 2)}
    plain = (weights["gamma"] == 1).all() and not weights["beta"].any()
    channels = x.tensor.shape[0]
    if plain and not x.plain and len(x.shape) == 2 and channels % x.shape[0] == 0:
        # PyTorch's group norm, of channels reshaped into groups
        return x.of(net.call(L.GroupNorm(x.shape[0], eps, affine=False), x.tensor))
    check_sizes(weights, x.shape[0])
    made = net.learned(node, L.InstanceNorm(eps), net.settled(x), weights)
    return Value(made, made.shape)


@reads("GroupNormalization")
def group_norm(net: Importer, node: Node) -> Value:
    x, groups = net.tensor(node), node.attributes["num_groups"]
    weights = {"gamma": net.array(node, 1), "beta": net.array(node, 2)}
    check_sizes(weights, groups if node.opset < 21 else x.shape[0])
    if node.opset < 21:  # a number for each group, since operator set 21 for each channel
        weights = {key: a.repeat(x.shape[0] // groups) for key, a in weights.items()}
    layer = L.GroupNorm(groups, node.attributes.get("epsilon", 1e-5))
    made = net.learned(node, layer, x, weights)
    return Value(made, made.shape)


@reads("LayerNormalization")
def layer_norm(net: Importer, node: Node) -> Value:
    x = net.tensor(node)
    rank = len(x.shape) + 1
    axis = axis_in(node.attributes.get("axis", -1), rank)
    if axis == 0:
        raise Refused("it normalizes over samples, and deepfs within each")
    scale, bias = net.array(node, 1), net.constant(node, 2)
    last = x.shape[axis - 1 :]
    if scale.shape != last or (bias is not None and bias.shape != last):
        raise Refused(f"its scale has shape {scale.shape}, and it normalizes over {last}")
    layer = L.LayerNorm(rank - axis, node.attributes.get("epsilon", 1e-5))
    weights = {"gamma": scale, "beta": scale * 0 if bias is None else bias}
    made = net.learned(node, layer, x, weights)
    return Value(made, made.shape)
