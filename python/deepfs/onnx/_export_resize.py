"""Enlarging and reducing images and sequences, as ONNX nodes.

Runtimes compute with the ratio of the sizes in float32. Where its rounding would show, pixels are
taken by their numbers instead, so that outputs agree for all sizes.
"""

from __future__ import annotations

from math import frexp
from typing import Any

import numpy as np

from .. import layers as L
from ..layers.resize import axis as axis_of
from ._export_graph import OnnxGraph, Value, writes

SMALL = 64  # pixels; up to this, the place of a centre in float32 is right to 4e-6 pixels


@writes(L.Upsample1D, L.Upsample2D)
def upsample(graph: OnnxGraph, layer: Any, x: Value) -> Value:
    factors = [layer.factor] if isinstance(layer, L.Upsample1D) else layer._factors
    scales = graph.constant([1.0, 1.0, *factors], "scales", np.float32)
    return graph.node("Resize", x, None, scales, mode="nearest", nearest_mode="floor",
                      coordinate_transformation_mode="asymmetric")  # fmt: skip


@writes(L.Resize2D)
def resize2d(graph: OnnxGraph, layer: Any, x: Value) -> Value:
    sizes, nearest = graph.shape_of(x)[1:], layer.method == "nearest"
    float32_finds = finds_nearest if nearest else finds_place
    if not all(map(float32_finds, sizes, layer._size)):
        for axis, size, out in zip((2, 3), sizes, layer._size, strict=True):
            if size != out:
                x = by_numbers(graph, x, axis, size, out, layer.method)
        return x
    how = {"nearest_mode": "round_prefer_ceil"} if nearest else {}
    return graph.node(
        "Resize", x, None, None, graph.constant(layer._size, "size"), opset=18, axes=[2, 3],
        mode="nearest" if nearest else "linear", coordinate_transformation_mode="half_pixel", **how,
    )  # fmt: skip


def is_power(size: int, out: int) -> bool:
    """Return whether the ratio of two sizes is a power of two, with which float32 is exact."""
    return frexp(out / size)[0] == 0.5


def finds_nearest(size: int, out: int) -> bool:
    """Return whether no centre lies so close to the line between two pixels that rounding decides.

    Those that are not on a line lie 1 / (2 out) pixels from one; rounding moves them by about
    size / 2^23 pixels.
    """
    on_line = (2 * np.arange(out) + 1) * size % (2 * out) == 0
    return is_power(size, out) or (size * out <= 2**20 and not on_line.any())


def finds_place(size: int, out: int) -> bool:
    """Return whether rounding moves centres by 4e-6 pixels at most."""
    return is_power(size, out) or max(size, out) <= SMALL


def by_numbers(graph: OnnxGraph, x: Value, axis: int, size: int, out: int, method: str) -> Value:
    """Take the pixels along an axis by their numbers; between two, weigh both."""
    taps = axis_of(size, out, method, graph.dtype.char).taps
    first = taps.spans[:, 0]
    before = graph.node("Gather", x, graph.constant(first, "pixels"), axis=axis)
    if method == "nearest":
        return before
    after = graph.constant(np.minimum(first + 1, size - 1), "next_pixels")
    near, far = (graph.constant(w if axis == 3 else w[:, None], "shares") for w in taps.weights.T)
    y = graph.node("Mul", before, near)
    return graph.node("Add", y, graph.node("Mul", graph.node("Gather", x, after, axis=axis), far))
