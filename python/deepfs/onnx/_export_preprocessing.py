"""Preprocessing as ONNX nodes, in float64, as `deepfs.preprocessing` computes."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import preprocessing as P
from .._arrays import Shape
from ..preprocessing._statistics import spread
from ._export_graph import OnnxGraph, Value, writes


def raw_shape(preprocess: P.Preprocess, out_shape: Shape) -> Shape:
    """Return the shape of samples that preprocessing turns into ``out_shape``."""
    steps = preprocess.steps if isinstance(preprocess, P.Pipeline) else [preprocess]
    for step in reversed(steps):
        if isinstance(step, P.PCA) and step.mean is not None:
            out_shape = step.mean.shape
    return out_shape


def preprocessed(graph: OnnxGraph, preprocess: P.Preprocess, x: Value, given: Any) -> Value:
    """Add preprocessing of inputs of a dtype; its result is float64 for float64, else float32."""
    shape = graph.shape_of(x)
    y = x if given == np.float64 else graph.cast(x, np.float64)
    graph.note(y, shape)
    with graph.within("preprocess", preprocess):
        y = step_of(graph, preprocess, y)
    if given != np.float64:
        y = graph.cast(y, np.float32)
        graph.note(y, preprocess.out_shape(shape))
    return y


def step_of(graph: OnnxGraph, step: P.Preprocess, x: Value) -> Value:
    """Add a step, whose result has a known shape."""
    shape = step.out_shape(graph.shape_of(x))
    y: Value = graph.written(step, x)
    graph.note(y, shape)
    return y


def constant(graph: OnnxGraph, value: Any, name: str) -> Value:
    return graph.constant(value, name, np.float64)


@writes(P.Pipeline)
def pipeline(graph: OnnxGraph, step: P.Pipeline, x: Value) -> Value:
    for each in step.steps:
        x = step_of(graph, each, x)
    return x


@writes(P.Rescale)
def rescale(graph: OnnxGraph, step: P.Rescale, x: Value) -> Value:
    y = graph.node("Mul", x, constant(graph, step.scale, "scale"))
    return y if step.offset == 0 else graph.node("Add", y, constant(graph, step.offset, "offset"))


@writes(P.Normalize)
def normalize(graph: OnnxGraph, step: P.Normalize, x: Value) -> Value:
    ndim = len(graph.shape_of(x)) + 1
    mean, std = (spread(np.asarray(each, np.float64), "channel", ndim) if np.ndim(each) else each
                 for each in (step.mean, step.std))  # fmt: skip
    y = graph.node("Sub", x, constant(graph, mean, "mean"))
    return graph.node("Div", y, constant(graph, std, "std"))


@writes(P.ZeroCenter, P.Standardize)
def standardize(graph: OnnxGraph, step: Any, x: Value) -> Value:
    ndim = len(graph.shape_of(x)) + 1
    y = graph.node("Sub", x, constant(graph, spread(step.mean, step.per, ndim), "mean"))
    if type(step) is P.ZeroCenter:
        return y
    std = spread(step._divisor(step.std), step.per, ndim)
    return graph.node("Div", y, constant(graph, std, "std"))


@writes(P.PCA, P.PCAWhitening, P.ZCAWhitening)
def pca(graph: OnnxGraph, step: Any, x: Value) -> Value:
    kind, shape = type(step), graph.shape_of(x)
    y = graph.node("Sub", x, constant(graph, step.mean, "mean"))
    if len(shape) != 1:
        y = graph.node("Flatten", y, axis=1)
    y = graph.node("MatMul", y, constant(graph, step.axes, "axes"))
    if kind is not P.PCA:
        y = graph.node("Div", y, constant(graph, np.sqrt(step.variance + step.eps), "std"))
    if kind is not P.ZCAWhitening:
        return y
    y = graph.node("MatMul", y, constant(graph, step.axes.T, "axes_back"))
    return y if len(shape) == 1 else graph.node("Reshape", y, graph.constant([0, *shape], "shape"))
