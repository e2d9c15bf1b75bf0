"""Dense layers, and what moves numbers, pads, cuts and resizes, as ONNX nodes."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from .. import layers as L
from .._arrays import Array
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


@writes(L.Upsample1D, L.Upsample2D)
def upsample(graph: OnnxGraph, layer: Any, x: Value) -> Value:
    factors = [layer.factor] if isinstance(layer, L.Upsample1D) else layer._factors
    scales = graph.constant(np.array([1, 1, *factors], np.float32), "scales", np.float32)
    return graph.node("Resize", x, None, scales, mode="nearest", nearest_mode="floor",
                      coordinate_transformation_mode="asymmetric")  # fmt: skip


@writes(L.Resize2D)
def resize2d(graph: OnnxGraph, layer: Any, x: Value) -> Value:
    """Resize, or take pixels by their numbers where float32 might miss the nearest."""
    sizes = graph.shape_of(x)[1:]
    nearest = layer.method == "nearest"
    if nearest and not all(map(float32_finds, sizes, layer._size)):
        for axis, size, out in zip((2, 3), sizes, layer._size, strict=True):
            x = graph.node("Gather", x, graph.constant(nearest_of(size, out), "pixels"), axis=axis)
        return x
    how = {"mode": "nearest", "nearest_mode": "round_prefer_ceil"} if nearest else {"mode": "linear"}
    return graph.node(
        "Resize", x, None, None, graph.constant(layer._size, "size"), opset=18, axes=[2, 3],
        coordinate_transformation_mode="half_pixel", **how,
    )  # fmt: skip


def nearest_of(size: int, out: int) -> Array:
    """Return the pixel in which the centre of each pixel of the output lies; between two, the later."""
    found: Array = (2 * np.arange(out) + 1) * size // (2 * out)
    return found


def float32_finds(size: int, out: int) -> bool:
    """Return whether runtimes, which compute with out / size in float32, find the nearest pixels.

    Where a centre lies on the line between two pixels, a rounding decides, unless there is none.
    """
    on_line = ((2 * np.arange(out) + 1) * size % (2 * out) == 0).any()
    exact = Fraction(float(np.float32(out / size))) == Fraction(out, size)
    return bool(exact or not on_line)
