"""Arithmetic of ONNX files: of two tensors, and of a tensor and a constant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import layers as L
from .._arrays import Array
from ._import_affine import prelu_of, scaled
from ._import_file import Node
from ._import_values import Refused, Value, axis_in, reads

if TYPE_CHECKING:
    from ._import_net import Importer

LAYERS: dict[str, Any] = {
    "Add": L.Add,
    "Sum": L.Add,
    "Mean": L.Add,
    "Sub": L.Subtract,
    "Mul": L.Multiply,
}


@reads("Add", "Sub", "Mul", "Div", "Neg")
def arithmetic(net: Importer, node: Node) -> Value:
    given = [net.known[name] for name in node.inputs]
    constants = [array for array in given if not isinstance(array, Value)]
    tensors = [value for value in given if isinstance(value, Value)]
    if node.op == "Neg":
        return scaled(net, tensors[0], -1.0)
    if not constants:
        if node.op == "Div":
            raise Refused("it divides by a tensor, and deepfs has no layer for that")
        return gated(net, node) or leaky(net, node) or merged(net, node, tensors)
    return with_constant(net, node, tensors[0], constants[0], isinstance(given[0], Value))


def with_constant(net: Importer, node: Node, x: Value, c: Array, first: bool) -> Value:
    """Return a sum, difference, product or quotient; ``first``: x is the left one."""
    c = c.astype(np.float64)
    if node.op == "Add":
        return scaled(net, x, 1.0, c)
    if node.op == "Sub":
        return scaled(net, x, 1.0, -c) if first else scaled(net, x, -1.0, c)
    if node.op == "Mul":
        return scaled(net, x, c)
    if not first:
        raise Refused("it divides by a tensor, and deepfs has no layer for that")
    if not c.all():
        raise Refused("it divides by 0")
    return scaled(net, x, 1 / c)


def gated(net: Importer, node: Node) -> Value | None:
    """Return x sigmoid(x) as SiLU, x HardSigmoid(x) as HardSwish, None if it is neither."""
    for x, gate in (node.inputs, node.inputs[::-1]):
        maker = net.made_by.get(gate)
        if maker is None or list(maker.inputs) != [x]:
            continue
        value, settings = net.value(node, node.inputs.index(x)), maker.attributes
        if maker.op == "Sigmoid":
            return value.of(net.call(L.SiLU(), value.tensor))
        sixth = abs(settings.get("alpha", 0.2) - 1 / 6) < 1e-6 and settings.get("beta", 0.5) == 0.5
        if maker.op == "HardSigmoid" and sixth:
            return value.of(net.call(L.HardSwish(), value.tensor))
    return None


def leaky(net: Importer, node: Node) -> Value | None:
    """Return ReLU(x) - s ReLU(-x) as PReLU, which is how Keras writes it; None if it is not."""
    if node.op != "Add":
        return None
    for a, b in (node.inputs, node.inputs[::-1]):
        above, product = net.made_by.get(a), net.made_by.get(b)
        if above is None or product is None or (above.op, product.op) != ("Relu", "Mul"):
            continue
        slopes = [net.known[n] for n in product.inputs if not isinstance(net.known[n], Value)]
        makers = [net.made_by[n] for n in product.inputs if n in net.made_by]
        below = next((maker for maker in makers if maker.op == "Relu"), None)
        minus = None if below is None else net.made_by.get(below.inputs[0])
        if minus is None or minus.op != "Neg" or minus.inputs != above.inputs or not slopes:
            continue
        return prelu_of(net, net.value(above), -np.asarray(slopes[0], np.float64))
    return None


@reads("Sum", "Mean")
def sums(net: Importer, node: Node) -> Value:
    values = [net.value(node, index) for index in range(len(node.inputs))]
    made = values[0] if len(values) == 1 else merged(net, node, values)
    return scaled(net, made, 1 / len(values)) if node.op == "Mean" else made


def merged(net: Importer, node: Node, values: list[Value]) -> Value:
    """Return what a layer makes of several tensors, arranged alike."""
    a = values[0]
    alike = all((v.shape, v.order, v.tensor.shape) == (a.shape, a.order, a.tensor.shape)
                for v in values)  # fmt: skip
    layer = LAYERS[node.op]()
    if alike:
        return a.of(net.call(layer, tuple(v.tensor for v in values)))
    largest = max(values, key=lambda v: np.prod(v.shape))
    if node.op == "Mul" and largest.plain and largest.order is not None:
        tensors = [like(net, v, largest) for v in values]
        made = net.call(layer, tuple(tensors))
        return largest.of(made)
    shapes = [v.shape for v in values]
    if node.op != "Mul" and len(set(shapes)) > 1:
        raise Refused(f"its inputs have shapes {', '.join(map(str, shapes))}, and deepfs's "
                      f"{type(layer).__name__} takes equal ones")  # fmt: skip
    made = net.call(layer, tuple(net.settled(v) for v in values))
    return Value(made, made.shape)


def like(net: Importer, x: Value, other: Value) -> object:
    """Return a tensor with its axes in the order that another has them."""
    if (x.order, x.plain) == (other.order, True):
        return x.tensor
    if len(x.shape) != len(other.shape) or sum(extent > 1 for extent in x.shape) > 1:
        raise Refused("its inputs have their axes in different orders")
    order = other.order or ()
    extents = tuple(x.shape[order.index(axis)] for axis in range(len(order)))
    return net.settled(Value(x.tensor, extents))


@reads("Concat")
def concat(net: Importer, node: Node) -> Value:
    values = [net.value(node, index) for index in range(len(node.inputs))]
    a = values[0]
    axis = axis_in(node.attributes["axis"], len(a.shape) + 1)
    if axis == 0:
        raise Refused("it joins samples (axis 0), and deepfs keeps their number")
    if len(values) == 1:
        return a
    if all(v.plain and v.order == a.order for v in values):
        made = net.call(L.Concat(a.axis(axis)), tuple(v.tensor for v in values))
        turned = Value(made, (), a.order, a.turned)
        return turned.reshaped(turned.turned_shape)
    made = net.call(L.Concat(axis), tuple(net.settled(v) for v in values))
    return Value(made, made.shape)
