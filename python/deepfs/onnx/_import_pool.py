"""Poolings of ONNX files, and reductions over all pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import layers as L
from ._import_file import Node
from ._import_fold import axes_of
from ._import_values import Refused, Value, axis_in, reads
from ._import_window import each, numbers, padding, pixels_of

if TYPE_CHECKING:
    from ._import_net import Importer

POOLS = {"MaxPool": (L.MaxPool1D, L.MaxPool2D), "AveragePool": (L.AvgPool1D, L.AvgPool2D)}
GLOBAL = {
    "GlobalMaxPool": (L.GlobalMaxPool1D, L.GlobalMaxPool2D),
    "GlobalAveragePool": (L.GlobalAvgPool1D, L.GlobalAvgPool2D),
}


@reads("MaxPool", "AveragePool")
def pool(net: Importer, node: Node) -> Value:
    x, settings = net.tensor(node), node.attributes
    pixels = pixels_of(x.shape)
    kind = POOLS[node.op][pixels - 1]
    kernel = numbers(node, "kernel_shape", pixels, 1)
    stride, dilation = (numbers(node, key, pixels, 1) for key in ("strides", "dilations"))
    ceil_mode = bool(settings.get("ceil_mode", 0))
    more: dict[str, Any] = {}
    if node.op == "AveragePool":
        more["count_include_pad"] = bool(settings.get("count_include_pad", 0))
    layer = kind(
        each(kernel), each(stride), padding(node, x.shape, kernel, stride, dilation),
        ceil_mode=ceil_mode, dilation=each(dilation), **more,
    )  # fmt: skip
    made = net.call(layer, x)
    return Value(made, made.shape)


@reads("GlobalMaxPool", "GlobalAveragePool")
def global_pool(net: Importer, node: Node) -> Value:
    x = net.tensor(node)
    pixels = pixels_of(x.shape)
    made = net.call(GLOBAL[node.op][pixels - 1](), x)
    return Value(made, (*made.shape, *(1,) * pixels))


@reads("ReduceMean", "ReduceMax")
def reduced(net: Importer, node: Node) -> Value:
    x, axes = net.value(node), axes_of(node, net.constant(node, 1))
    rank = len(x.shape) + 1
    if not axes:
        if node.attributes.get("noop_with_empty_axes", 0):
            return x
        axes = list(range(rank))
    axes = sorted(axis_in(axis, rank) for axis in axes)
    if not x.plain:
        x = Value(net.settled(x), x.shape)
    which = sorted(x.axis(axis) for axis in axes)
    if which != list(range(2, rank)) or rank not in (3, 4):
        raise Refused(
            f"it is over axes {axes}, and deepfs has means and maxima over all pixels of a channel"
        )
    kind = GLOBAL["GlobalMaxPool" if node.op == "ReduceMax" else "GlobalAveragePool"][rank - 3]
    made = net.call(kind(), x.tensor)
    if not node.attributes.get("keepdims", 1):
        return Value(made, made.shape)
    kept = [1 if axis in axes else extent for axis, extent in enumerate(x.shape, 1)]
    return Value(made, tuple(kept))
