"""Dense layers, and what changes shapes, pads and cuts, as ONNX nodes."""

from __future__ import annotations

from typing import Any

from .. import layers as L
from ._export_graph import OnnxGraph, Value, writes


@writes(L.Dense, L.DropConnect)
def dense(graph: OnnxGraph, layer: Any, x: Value) -> Value:
    if len(graph.shape_of(x)) > 1:
        x = graph.node("Flatten", x, axis=1)
    inputs = [x, graph.parameter(layer, "weight")]
    return graph.node("Gemm", *inputs, *([graph.parameter(layer, "bias")] if layer.bias else []))


@writes(L.Flatten)
def flatten(graph: OnnxGraph, layer: L.Flatten, x: Value) -> Value:
    return graph.node("Flatten", x, axis=1)


@writes(L.Reshape)
def reshape(graph: OnnxGraph, layer: L.Reshape, x: Value) -> Value:
    shape = layer.out_shape(graph.shape_of(x))
    return graph.node("Reshape", x, graph.constant([0, *shape], "shape"))


@writes(L.ZeroPad1D)
def zero_pad1d(graph: OnnxGraph, layer: Any, x: Value) -> Value:
    before, after = layer._ends
    return graph.node("Pad", x, graph.constant([0, 0, before, 0, 0, after], "padding"))


@writes(L.ZeroPad2D)
def zero_pad2d(graph: OnnxGraph, layer: Any, x: Value) -> Value:
    top, bottom, left, right = layer._sides
    pads = [0, 0, top, left, 0, 0, bottom, right]
    return graph.node("Pad", x, graph.constant(pads, "padding"))


@writes(L.Crop1D, L.Crop2D)
def crop(graph: OnnxGraph, layer: Any, x: Value) -> Value:
    sizes = graph.shape_of(x)[1:]
    cut = layer._ends if len(sizes) == 1 else layer._sides
    ends = [size - after for size, after in zip(sizes, cut[1::2], strict=True)]
    axes = [*range(2, 2 + len(sizes))]
    return graph.node(
        "Slice", x, graph.constant(cut[::2], "starts"), graph.constant(ends, "ends"),
        graph.constant(axes, "axes"),
    )  # fmt: skip
