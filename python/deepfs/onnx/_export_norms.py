"""Normalizations as ONNX nodes."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import layers as L
from .._arrays import Shape
from ._export_graph import OnnxGraph, Value, writes


def affine(graph: OnnxGraph, layer: Any, shape: Shape) -> tuple[Value, Value]:
    """Return the names of gamma and beta; without them, of ones and zeros."""
    if layer.affine:
        return graph.parameter(layer, "gamma"), graph.parameter(layer, "beta")
    return graph.constant(np.ones(shape), "gamma"), graph.constant(np.zeros(shape), "beta")


@writes(L.BatchNorm)
def batch_norm(graph: OnnxGraph, layer: L.BatchNorm, x: Value) -> Value:
    gamma, beta = affine(graph, layer, graph.shape_of(x)[:1])
    mean, var = (graph.constant(layer.buffered[name], name)
                 for name in ("running_mean", "running_var"))  # fmt: skip
    return graph.node("BatchNormalization", x, gamma, beta, mean, var, epsilon=layer.eps)


@writes(L.LayerNorm)
def layer_norm(graph: OnnxGraph, layer: L.LayerNorm, x: Value) -> Value:
    gamma, beta = affine(graph, layer, graph.shape_of(x)[-layer.axes :])
    return graph.node("LayerNormalization", x, gamma, beta, axis=-layer.axes, epsilon=layer.eps)


@writes(L.InstanceNorm)
def instance_norm(graph: OnnxGraph, layer: L.InstanceNorm, x: Value) -> Value:
    gamma, beta = affine(graph, layer, graph.shape_of(x)[:1])
    return graph.node("InstanceNormalization", x, gamma, beta, epsilon=layer.eps)


@writes(L.GroupNorm)
def group_norm(graph: OnnxGraph, layer: L.GroupNorm, x: Value) -> Value:
    """Add the operator of opset 21: that of 18 had gamma and beta of groups, not of channels."""
    gamma, beta = affine(graph, layer, graph.shape_of(x)[:1])
    return graph.node(
        "GroupNormalization", x, gamma, beta, opset=21, num_groups=layer.groups, epsilon=layer.eps
    )
