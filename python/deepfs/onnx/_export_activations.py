"""Activations and what works on each number alone, as ONNX nodes."""

from __future__ import annotations

from .. import layers as L
from .._arrays import Shape
from ._export_graph import OnnxGraph, Value, writes

ALONE: dict[type, str] = {
    L.ReLU: "Relu",
    L.Sigmoid: "Sigmoid",
    L.Tanh: "Tanh",
    L.Softplus: "Softplus",
    L.HardSwish: "HardSwish",
}


@writes(*ALONE)
def alone(graph: OnnxGraph, layer: L.Layer, x: Value) -> Value:
    return graph.node(ALONE[type(layer)], x)


@writes(L.Identity, L.SpatialDropout, L.GaussianNoise)
def nothing(graph: OnnxGraph, layer: L.Layer, x: Value) -> Value:
    """Add no node: the layer returns its input, or acts in training only."""
    return x


@writes(L.Dropout)
def dropout(graph: OnnxGraph, layer: L.Dropout, x: Value) -> Value:
    if layer.scaling == "train":
        return x
    return graph.node("Mul", x, graph.constant(1 - layer.p, "kept"))


@writes(L.Step)
def step(graph: OnnxGraph, layer: L.Step, x: Value) -> Value:
    return graph.node("Sign", graph.node("Relu", x))


@writes(L.Clip)
def clip(graph: OnnxGraph, layer: L.Clip, x: Value) -> Value:
    limits = [
        None if limit is None else graph.constant(limit, name)
        for name, limit in (("min", layer.min_value), ("max", layer.max_value))
    ]
    return graph.node("Clip", x, *limits)


@writes(L.LeakyReLU)
def leaky_relu(graph: OnnxGraph, layer: L.LeakyReLU, x: Value) -> Value:
    return graph.node("LeakyRelu", x, alpha=layer.slope)


@writes(L.ELU)
def elu(graph: OnnxGraph, layer: L.ELU, x: Value) -> Value:
    return graph.node("Elu", x, alpha=layer.alpha)


@writes(L.SELU)
def selu(graph: OnnxGraph, layer: L.SELU, x: Value) -> Value:
    return graph.node("Selu", x, alpha=layer.alpha, gamma=layer.scale)


@writes(L.SiLU)
def silu(graph: OnnxGraph, layer: L.SiLU, x: Value) -> Value:
    return graph.node("Mul", x, graph.node("Sigmoid", x))


@writes(L.GELU)
def gelu(graph: OnnxGraph, layer: L.GELU, x: Value) -> Value:
    return graph.node("Gelu", x, approximate="tanh" if layer.approximate else "none")


@writes(L.PReLU)
def prelu(graph: OnnxGraph, layer: L.PReLU, x: Value) -> Value:
    slope = layer.learned["slope"].value
    if layer.per_channel:
        slope = slope.reshape(over_channels(graph.shape_of(x)))
    return graph.node("PRelu", x, graph.constant(slope, "slope"))


@writes(L.Softmax)
def softmax(graph: OnnxGraph, layer: L.Softmax, x: Value) -> Value:
    return graph.node("Softmax", x, axis=1)


@writes(L.LogSoftmax)
def log_softmax(graph: OnnxGraph, layer: L.LogSoftmax, x: Value) -> Value:
    return graph.node("LogSoftmax", x, axis=1)


@writes(L.Maxout)
def maxout(graph: OnnxGraph, layer: L.Maxout, x: Value) -> Value:
    """Pool the pieces of a channel, side by side, as rows of an image."""
    c, *rest = graph.shape_of(x)
    out = c // layer.pieces
    image = graph.constant([0, out, layer.pieces, -1], "image")
    y = graph.node("MaxPool", graph.node("Reshape", x, image), kernel_shape=[layer.pieces, 1])
    return graph.node("Reshape", y, graph.constant([0, out, *rest], "shape"))


def over_channels(in_shape: Shape) -> tuple[int, ...]:
    """Return the shape in which numbers per channel fit samples of a shape.

    Examples
    --------
    >>> over_channels((4, 7, 6)), over_channels((5,))
    ((-1, 1, 1), (-1,))
    """
    return (-1, *[1] * (len(in_shape) - 1))
