"""Inputs of channels-last models: Keras has images as (n, h, w, c), and ONNX's nodes do not."""

from __future__ import annotations

import numpy as np

from ._import_file import Entry, Node, OnnxFile

# The permutations to channels first that ONNX files have, and the axes of a sample they start from:
# the order of the axes of a tensor (c, h, w) in the file.
TO_CHANNELS_FIRST = {(0, 3, 1, 2): (1, 2, 0), (0, 2, 1): (1, 0)}
PIXELS = {
    "AveragePool", "Conv", "ConvTranspose", "GlobalAveragePool", "GlobalMaxPool", "MaxPool",
}  # fmt: skip
PASSING = {
    "Add", "Cast", "Clip", "Concat", "Div", "Identity", "LeakyRelu", "Mul", "Neg", "Pad", "Relu",
    "Sigmoid", "Slice", "Sub", "Tanh",
}  # fmt: skip


def channels_last_inputs(file: OnnxFile) -> dict[str, tuple[int, ...]]:
    """Return the order of the axes of inputs that all nodes take with the channels put first.

    deepfs has images as (n, c, h, w). The network takes these inputs so, and the permutation is
    gone.
    """
    if not any(node.op in PIXELS for node in file.nodes):
        return {}
    found = {entry.name: order_of(file, entry) for entry in file.inputs}
    return {name: order for name, order in found.items() if order is not None}


def order_of(file: OnnxFile, entry: Entry) -> tuple[int, ...] | None:
    """Return the order of the axes of an input, None if nodes take it as it is."""
    rank, orders = len(entry.extents or ()), set()
    names, seen = [entry.name], {entry.name}
    while names:
        name = names.pop()
        if name in file.outputs:
            return None
        for node in file.nodes:
            if name not in node.inputs:
                continue
            perm = tuple(node.attributes.get("perm", ()))
            if node.op == "Transpose" and len(perm) == rank and perm in TO_CHANNELS_FIRST:
                orders.add(TO_CHANNELS_FIRST[perm])
            elif node.op == "Reshape" and to_gray(file, node, entry):
                orders.add((1, 2, 0))
            elif node.op in PASSING:
                if node.outputs[0] not in seen:
                    seen.add(node.outputs[0])
                    names.append(node.outputs[0])
            elif node.op != "Shape":
                return None
    return orders.pop() if len(orders) == 1 else None


def to_gray(file: OnnxFile, node: Node, entry: Entry) -> bool:
    """Return whether images of one channel are reshaped from (n, h, w, 1) to (n, 1, h, w)."""
    shape = file.arrays.get(node.inputs[1])
    extents = entry.extents or ()
    if shape is None or len(extents) != 4 or extents[3] != 1:
        return False
    return list(np.ravel(shape))[1:] == [1, *extents[1:3]]
