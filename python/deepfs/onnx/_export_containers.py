"""Layers made of layers, and those of several inputs, as ONNX nodes."""

from __future__ import annotations

from functools import partial, reduce

from .. import layers as L
from .._trees import Tree, leaves, map_tree
from ._export_graph import OnnxGraph, Value, writes

MERGES: dict[type, str] = {L.Add: "Add", L.Subtract: "Sub", L.Multiply: "Mul"}


@writes(*MERGES)
def merge(graph: OnnxGraph, layer: L.Layer, x: tuple[Value, ...]) -> Value:
    """Merge two by two, in the order of the inputs, as the layer does."""
    return reduce(partial(graph.node, MERGES[type(layer)]), x)


@writes(L.Concat)
def concat(graph: OnnxGraph, layer: L.Concat, x: tuple[Value, ...]) -> Value:
    return graph.node("Concat", *x, axis=layer.axis)


@writes(L.Sequential)
def sequential(graph: OnnxGraph, layer: L.Sequential, x: Value) -> Value:
    for name, part in layer.named_parts().items():
        x = graph.layer(part, x, name)
    return x


@writes(L.Checkpoint)
def checkpoint(graph: OnnxGraph, layer: L.Checkpoint, x: Value) -> Value:
    return graph.layer(layer.body, x, "body")


@writes(L.Residual)
def residual(graph: OnnxGraph, layer: L.Residual, x: Value) -> Value:
    past = x if layer.shortcut is None else graph.layer(layer.shortcut, x, "shortcut")
    return graph.node("Add", graph.layer(layer.body, x, "body"), past)


@writes(L.Branches)
def branches(graph: OnnxGraph, layer: L.Branches, x: Value) -> Value:
    outputs = [graph.layer(part, x, name) for name, part in layer.named_parts().items()]
    if layer.merge == "add" or len(outputs) == 1:
        return reduce(partial(graph.node, "Add"), outputs)
    return graph.node("Concat", *outputs, axis=1)


@writes(L.Graph)
def graph_of_layers(graph: OnnxGraph, layer: L.Graph, x: Tree) -> Tree:
    names = {id(part): name for name, part in layer.named_parts().items()}
    values = [*leaves(x)]
    for part, inputs, _ in layer._wired:
        given = map_tree(values.__getitem__, inputs)
        values += leaves(graph.layer(part, given, names[id(part)]))
    return map_tree(values.__getitem__, layer.outputs)
