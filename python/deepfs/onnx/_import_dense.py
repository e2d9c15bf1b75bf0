"""Matrix products of ONNX files: the dense layer, as PyTorch (Gemm) and Keras (MatMul) write it."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

import numpy as np

from .. import layers as L
from .._arrays import Array
from ._import_file import Node
from ._import_values import Refused, Value, reads
from ._import_window import biased

if TYPE_CHECKING:
    from ._import_net import Importer


@reads("Gemm")
def gemm(net: Importer, node: Node) -> Value:
    x, weight, bias = net.value(node), net.array(node, 1), net.constant(node, 2)
    settings = node.attributes
    if settings.get("transA", 0):
        raise Refused("it transposes its input (transA=1), and deepfs keeps samples in front")
    if settings.get("transB", 0):
        weight = weight.T
    weight = weight * np.asarray(settings.get("alpha", 1.0), weight.dtype)
    units = weight.shape[-1]
    if bias is None:
        bias = net.bias_after(node, units)
    else:
        bias = bias * np.asarray(settings.get("beta", 1.0), bias.dtype)
    return dense(net, node, x, weight, bias)


@reads("MatMul")
def matmul(net: Importer, node: Node) -> Value:
    first = net.known[node.inputs[0]]
    pooled = adaptive(net, net.value(node, 1), first, 1) if isinstance(first, np.ndarray) else None
    if pooled is not None:
        return pooled
    x, weight = net.value(node), net.array(node, 1)
    if weight.ndim == 1:
        return dense(net, node, x, weight[:, None], None).reshaped(())
    pooled = adaptive(net, x, weight.T, len(x.shape) - 1)
    if pooled is not None:
        return pooled
    return dense(net, node, x, weight, net.bias_after(node, weight.shape[-1]))


def dense(net: Importer, node: Node, x: Value, weight: Array, bias: Array | None) -> Value:
    """Return the output of a dense layer; ``weight`` is (in, units), as the file has its rows."""
    if len(x.shape) != 1 or weight.ndim != 2:
        raise Refused(
            f"it multiplies samples of shape {x.shape} by {weight.shape}, and a Dense takes rows"
        )
    if len(weight) != x.shape[0]:
        raise Refused(f"its weight has shape {weight.shape}, and samples {x.shape}")
    tensor, shape = x.tensor, x.tensor.shape
    if x.order is not None:  # rows of the weight in the order in which Flatten has channels first
        at = np.arange(prod(shape)).reshape(shape).transpose(x.order).reshape(-1)
        weight = weight[np.argsort(at)]
    if len(shape) != 1:
        tensor = net.call(L.Flatten(), tensor)
    weights = {"weight": weight} | biased(weight.shape[1], bias)
    layer = L.Dense(weight.shape[1], bias=bias is not None)
    made = net.learned(node, layer, tensor, weights)
    return Value(made, made.shape)


def adaptive(net: Importer, x: Value, shares: Array, axis: int) -> Value | None:
    """Return the adaptive average pooling along an axis of samples that a matrix computes.

    `save` writes it so if the windows have different sizes. None if it is another matrix.
    """
    pixels = x.shape[1:]
    if len(pixels) not in (1, 2) or shares.ndim != 2 or axis not in range(1, len(x.shape)):
        return None
    out, size = shares.shape
    windows = [(i * size // out, -(-(i + 1) * size // out)) for i in range(out)]
    wanted = np.zeros((out, size))
    for row, (begin, end) in zip(wanted, windows, strict=True):
        row[begin:end] = 1 / (end - begin)
    if size != x.shape[axis] or np.abs(shares - wanted).max() > 1e-6:
        return None
    if len(pixels) == 1:
        layer: L.Layer = L.AdaptiveAvgPool1D(out)
    else:
        layer = L.AdaptiveAvgPool2D((out, pixels[1]) if axis == 1 else (pixels[0], out))
    made = net.call(layer, net.settled(x))
    return Value(made, made.shape)
