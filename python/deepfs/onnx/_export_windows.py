"""Convolutions and poolings as ONNX nodes."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import layers as L
from .._arrays import Array, Shape
from ..layers._window import Placement, place_window
from ._export_graph import OnnxGraph, Value, writes


def along(place: Placement, axes: int) -> dict[str, Any]:
    """Return the attributes that all windows have: of an image, 2 axes, or a sequence, 1."""
    return {"kernel_shape": place.kernel_size[-axes:], "strides": place.stride[-axes:]}


def conv(graph: OnnxGraph, x: Value, weight: Value, bias: Value | None, place: Placement,
         axes: int, groups: int) -> Value:  # fmt: skip
    """Add a convolution of images or sequences."""
    pads = [place.left, place.right]
    if axes == 2:
        pads = [place.top, place.left, place.bottom, place.right]
    inputs = [x, weight, *([] if bias is None else [bias])]
    return graph.node(
        "Conv", *inputs, pads=pads, dilations=place.dilation[-axes:], group=groups,
        **along(place, axes),
    )  # fmt: skip


def bias_of(graph: OnnxGraph, layer: Any) -> Value | None:
    """Return the name of a layer's bias, or None."""
    return graph.parameter(layer, "bias") if layer.bias else None


@writes(L.Conv2D)
def conv2d(graph: OnnxGraph, layer: L.Conv2D, x: Value) -> Value:
    place = layer._place(*graph.shape_of(x)[1:])
    weight = graph.parameter(layer, "weight")
    return conv(graph, x, weight, bias_of(graph, layer), place, 2, layer.groups)


@writes(L.Conv1D)
def conv1d(graph: OnnxGraph, layer: L.Conv1D, x: Value) -> Value:
    place = layer._place(graph.shape_of(x)[1])
    weight = graph.parameter(layer, "weight")
    return conv(graph, x, weight, bias_of(graph, layer), place, 1, layer.groups)


def depthwise(graph: OnnxGraph, layer: Any, x: Value, weight: Value, bias: Value | None) -> Value:
    """Add a convolution of each channel alone; filters of a channel lie side by side, as here."""
    c, h, w = graph.shape_of(x)
    window = layer.kernel_size, layer.stride, layer.padding, layer.dilation
    return conv(graph, x, weight, bias, place_window(layer.label, (h, w), *window), 2, c)


@writes(L.DepthwiseConv2D)
def depthwise_conv2d(graph: OnnxGraph, layer: L.DepthwiseConv2D, x: Value) -> Value:
    weight = graph.parameter(layer, "weight")
    return depthwise(graph, layer, x, weight, bias_of(graph, layer))


@writes(L.SeparableConv2D)
def separable_conv2d(graph: OnnxGraph, layer: L.SeparableConv2D, x: Value) -> Value:
    between = depthwise(graph, layer, x, graph.parameter(layer, "depthwise_weight"), None)
    weight = graph.parameter(layer, "pointwise_weight")
    pixel = Placement(0, 0, 0, 0, 0, 0, (1, 1), (1, 1), (1, 1))
    return conv(graph, between, weight, bias_of(graph, layer), pixel, 2, 1)


@writes(L.ConvTranspose2D)
def conv_transpose2d(graph: OnnxGraph, layer: L.ConvTranspose2D, x: Value) -> Value:
    """Cut off what exceeds the output on each side; where it is larger, extend the end.

    Runtimes refuse an ``output_padding`` of the stride or more. Then the window gets one more row
    or column, of zeros, which is cut off as far as it exceeds the output.
    """
    size, weight = graph.shape_of(x)[1:], layer.learned["weight"].value
    sizes = layer.out_shape(graph.shape_of(x))[1:]
    place = layer._adjoint._place(*sizes)
    begins, ends, more = (place.top, place.left), [], []
    for axis, (step, dilation) in enumerate(zip(place.stride, place.dilation, strict=True)):
        extent = dilation * (weight.shape[2 + axis] - 1) + 1
        over = (size[axis] - 1) * step + extent - begins[axis] - sizes[axis]
        if -over >= step:
            weight = np.pad(weight, [(0, 1 if a == 2 + axis else 0) for a in range(4)])
            over += dilation
        ends.append(max(over, 0))
        more.append(max(-over, 0))
    inputs, bias = [x, graph.constant(weight, "weight")], bias_of(graph, layer)
    return graph.node(
        "ConvTranspose", *inputs, *([] if bias is None else [bias]), pads=[*begins, *ends],
        output_padding=more, strides=place.stride, dilations=place.dilation, group=layer.groups,
        kernel_shape=weight.shape[2:],
    )  # fmt: skip


def place_of(graph: OnnxGraph, layer: Any, x: Value) -> tuple[Shape, Placement]:
    """Return the size of an image or a sequence, and how a pooling's windows lie on it."""
    size = graph.shape_of(x)[1:]
    return size, layer._place(*size)


def pads_of(size: Shape, place: Placement) -> list[int]:
    """Return the padding with which as many windows fit as here, whatever ``ceil_mode`` is.

    The end of the last window decides. So no runtime has to round up, which they do differently.
    """
    oh, ow, top, _, left, _, (kh, kw), (sh, sw), (dh, dw) = place
    right = reach(size[-1], left, ow, sw, dw * (kw - 1) + 1)
    if len(size) == 1:
        return [left, right]
    return [top, left, reach(size[0], top, oh, sh, dh * (kh - 1) + 1), right]


def reach(size: int, before: int, out: int, step: int, extent: int) -> int:
    """Return by how many entries the last window exceeds a sequence."""
    return max((out - 1) * step + extent - before - size, 0)


def pool(graph: OnnxGraph, operator: str, x: Value, size: Shape, place: Placement,
         outside: float, **attributes: Any) -> tuple[Value, bool]:  # fmt: skip
    """Add a pooling; return its output, and whether the padding is a node of its own.

    It is where it reaches a whole window or more, as beside dilated ones: onnxruntime refuses that.
    """
    pads, kernel = pads_of(size, place), place.kernel_size[-len(size) :]
    apart = any(pad >= extent for pad, extent in zip(pads, kernel * 2, strict=True))
    if apart:
        sides = [0, 0, *pads[: len(size)], 0, 0, *pads[len(size) :]]
        value = graph.constant(np.array(outside, graph.dtype), "outside")
        x = graph.node("Pad", x, graph.constant(sides, "padding"), value)
        pads = [0] * len(pads)
    dilation = place.dilation[-len(size) :]
    if set(dilation) != {1}:
        attributes |= {"dilations": dilation, "opset": 19}  # of average pooling since then
    return graph.node(operator, x, pads=pads, **along(place, len(size)), **attributes), apart


@writes(L.MaxPool1D, L.MaxPool2D)
def max_pool(graph: OnnxGraph, layer: Any, x: Value) -> Value:
    return pool(graph, "MaxPool", x, *place_of(graph, layer, x), outside=-np.inf)[0]


@writes(L.AvgPool1D, L.AvgPool2D)
def avg_pool(graph: OnnxGraph, layer: Any, x: Value) -> Value:
    """Divide by counted entries alone: ONNX counts what `pads_of` adds as padding."""
    size, place = place_of(graph, layer, x)
    counted = layer.count_include_pad
    y, apart = pool(graph, "AveragePool", x, size, place, 0.0, count_include_pad=int(counted))
    if not (counted or apart):
        return y
    ends = [(place.left, place.right, place.ow), (place.top, place.bottom, place.oh)]
    factors = [
        shares(
            size[-axis], before, after if counted else 0, out, place.stride[-axis],
            place.kernel_size[-axis], place.dilation[-axis], before if counted else 0,
        )
        for axis, (before, after, out) in enumerate(ends[: len(size)], 1)
    ]  # fmt: skip
    factor = factors[0] if len(size) == 1 else np.multiply.outer(factors[1], factors[0])
    return y if (factor == 1).all() else graph.node("Mul", y, graph.constant(factor, "shares"))


def shares(size: int, before: int, after: int, out: int, step: int, kernel: int, dilation: int,
           counted: int) -> Array:  # fmt: skip
    """Return for each window its entries by how many of them count.

    The windows begin ``before`` entries ahead of a sequence; of these the last ``counted`` count,
    and so do ``after`` entries behind it.
    """
    places = np.arange(out)[:, None] * step - before + dilation * np.arange(kernel)
    return kernel / ((places >= -counted) & (places < size + after)).sum(axis=1)


@writes(L.GlobalAvgPool1D, L.GlobalAvgPool2D)
def global_avg_pool(graph: OnnxGraph, layer: L.Layer, x: Value) -> Value:
    return graph.node("Flatten", graph.node("GlobalAveragePool", x), axis=1)


@writes(L.GlobalMaxPool1D, L.GlobalMaxPool2D)
def global_max_pool(graph: OnnxGraph, layer: L.Layer, x: Value) -> Value:
    return graph.node("Flatten", graph.node("GlobalMaxPool", x), axis=1)


@writes(L.AdaptiveAvgPool1D, L.AdaptiveAvgPool2D)
def adaptive_avg_pool(graph: OnnxGraph, layer: Any, x: Value) -> Value:
    """Windows of one size are an average pooling; others a product with their shares."""
    size = graph.shape_of(x)[1:]
    outs = layer.out_shape(graph.shape_of(x))[1:]
    if not any(pixels % out for pixels, out in zip(size, outs, strict=True)):
        kernel = [pixels // out for pixels, out in zip(size, outs, strict=True)]
        return graph.node("AveragePool", x, kernel_shape=kernel, strides=kernel)
    columns = graph.constant(adaptive_shares(size[-1], outs[-1]).T, "columns")
    y = graph.node("MatMul", x, columns)
    if len(size) == 1:
        return y
    return graph.node("MatMul", graph.constant(adaptive_shares(size[0], outs[0]), "rows"), y)


def adaptive_shares(size: int, out: int) -> Array:
    """Return the matrix (out, size) that takes the mean of each window."""
    shares = np.zeros((out, size))
    for i in range(out):
        begin, end = i * size // out, -(-(i + 1) * size // out)
        shares[i, begin:end] = 1 / (end - begin)
    return shares
