"""Activations of ONNX files, and those that are made of several layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .. import layers as L
from ._import_affine import prelu_of, scaled
from ._import_file import Node
from ._import_values import Refused, Value, axis_in, reads

if TYPE_CHECKING:
    from ._import_net import Importer

SELU_ALPHA, SELU_GAMMA = 1.6732632423543772, 1.0507009873554805  # arXiv:1706.02515
UNLIMITED = 3.4e38  # exporters write the largest float32 for a bound that is none

PLAIN = {
    "Relu": L.ReLU, "Sigmoid": L.Sigmoid, "Tanh": L.Tanh, "Softplus": L.Softplus,
    "HardSwish": L.HardSwish, "Identity": None, "Cast": None,
}  # fmt: skip


@reads(*PLAIN)
def plain(net: Importer, node: Node) -> Value:
    kind, x = PLAIN[node.op], net.value(node)
    if node.op == "Cast":
        import onnx

        to = onnx.helper.tensor_dtype_to_np_dtype(node.attributes["to"])
        if to != net.dtype:
            raise Refused(f"it gives {to}, and the network computes in {np.dtype(net.dtype)}")
    return x if kind is None else x.of(net.call(kind(), x.tensor))


@reads("LeakyRelu", "Elu", "Celu", "Selu", "Gelu", "Swish", "Mish")
def with_setting(net: Importer, node: Node) -> Value:
    x, settings = net.value(node), node.attributes
    alpha = settings.get("alpha")

    def through(layer: L.Layer, x: Value = x) -> Value:
        return x.of(net.call(layer, x.tensor))

    if node.op == "LeakyRelu":
        return through(L.LeakyReLU(0.01 if alpha is None else alpha))
    if node.op == "Elu":
        return through(L.ELU(1.0 if alpha is None else alpha))
    if node.op == "Gelu":
        return through(L.GELU(settings.get("approximate", "none") == "tanh"))
    if node.op == "Mish":
        gate = through(L.Tanh(), through(L.Softplus()))
        return x.of(net.call(L.Multiply(), (x.tensor, gate.tensor)))
    if node.op == "Swish":
        if alpha in (None, 1.0):
            return through(L.SiLU())
        gate = through(L.Sigmoid(), scaled(net, x, alpha, own=True))
        return x.of(net.call(L.Multiply(), (x.tensor, gate.tensor)))
    if node.op == "Celu":  # alpha ELU(x / alpha)
        alpha = 1.0 if alpha is None else alpha
        return scaled(net, through(L.ELU(), scaled(net, x, 1 / alpha)), alpha)
    alpha = SELU_ALPHA if alpha is None else alpha
    gamma = settings.get("gamma", SELU_GAMMA)
    if abs(alpha - SELU_ALPHA) < 1e-6 and abs(gamma - SELU_GAMMA) < 1e-6:
        return through(L.SELU())
    return through(L.SELU(alpha, gamma))


@reads("Sign")
def sign(net: Importer, node: Node) -> Value:
    maker, x = net.made_by.get(node.inputs[0]), net.value(node)
    if maker is None or maker.op != "Relu":
        raise Refused("deepfs has it of a ReLU only, which is the layer Step")
    return x.of(net.call(L.Step(), net.value(maker).tensor))


@reads("PRelu")
def prelu(net: Importer, node: Node) -> Value:
    return prelu_of(net, net.value(node), net.array(node, 1))


@reads("Clip")
def clip(net: Importer, node: Node) -> Value:
    bounds = [net.constant(node, index) for index in (1, 2)]
    low, high = (None if bound is None else float(bound.reshape(-1)[0]) for bound in bounds)
    return clipped(net, net.value(node), low, high)


def clipped(net: Importer, x: Value, low: float | None, high: float | None) -> Value:
    """Return x limited from below and above; where both cross, from below first, as in ONNX."""
    low = None if low is None or low <= -UNLIMITED else low
    high = None if high is None or high >= UNLIMITED else high
    if low is not None and high is not None and low >= high:
        x, low = clipped(net, x, low, None), None
    if low is None and high is None:
        return x
    layer = L.ReLU() if (low, high) == (0, None) else L.Clip(low, high)
    return x.of(net.call(layer, x.tensor))


@reads("HardSigmoid")
def hard_sigmoid(net: Importer, node: Node) -> Value:
    alpha, beta = (node.attributes.get(k, d) for k, d in (("alpha", 0.2), ("beta", 0.5)))
    return clipped(net, scaled(net, net.value(node), alpha, beta), 0.0, 1.0)


@reads("Softmax", "LogSoftmax")
def softmax(net: Importer, node: Node) -> Value:
    x = net.value(node)
    rank = len(x.shape) + 1
    layer = L.Softmax() if node.op == "Softmax" else L.LogSoftmax()
    if node.opset < 13:  # all axes from this one on are one
        if axis_in(node.attributes.get("axis", 1), rank) != 1:
            raise Refused("it is not along axis 1, where deepfs has classes")
        rows = net.settled(x.reshaped((int(np.prod(x.shape)),)))
        return Value(net.call(layer, rows), x.shape)
    axis = axis_in(node.attributes.get("axis", -1), rank)
    if not x.plain:
        x = Value(net.settled(x), x.shape)
    if x.axis(axis) != 1:
        raise Refused(f"it is along axis {axis}, and deepfs has classes along axis 1")
    return x.of(net.call(layer, x.tensor))


@reads("Dropout")
def dropout(net: Importer, node: Node) -> Value:
    x, ratio, training = net.value(node), net.constant(node, 1), net.constant(node, 2)
    p = node.attributes.get("ratio", 0.5) if ratio is None else float(ratio.reshape(-1)[0])
    if training is not None and bool(training.reshape(-1)[0]) and p > 0:
        raise Refused("it drops in inference (training_mode), and deepfs in training only")
    return x.of(net.call(L.Dropout(p), x.tensor)) if p > 0 else x
