"""Functions that exporters write as several nodes, put together again before nodes are read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import inf, sqrt

import numpy as np

from ._import_file import Node, OnnxFile

LOWEST = -3.4e38  # of float32, which some write for -inf


def rewritten(file: OnnxFile) -> list[Node]:
    """Return the nodes that outputs need, GELU, softplus and padded maxima as one node each.

    Before operator set 20, exporters write x (1 + erf(x / sqrt(2))) / 2 as five nodes, in several
    orders. PyTorch's softplus is x itself above a threshold, 2e-9 less. Padding of a whole window
    is a node of its own for runtimes that refuse it as an attribute.
    """
    made_by = {node.outputs[0]: node for node in file.nodes}
    numbers = constants(file)
    kept, needed = list[Node](), set(file.outputs)
    for last in reversed(file.nodes):
        if needed.isdisjoint(last.outputs):
            continue
        x = next((x for factors in products(last, made_by, numbers)
                  if (x := gelu_input(factors, made_by, numbers))), None)  # fmt: skip
        soft = softplus(last, made_by, numbers)
        if x is not None:
            last = replace(last, op="Gelu", inputs=[x], attributes={})
        elif soft is not None:
            last = replace(soft, outputs=last.outputs)
        elif last.op == "MaxPool":
            last = padded_max_pool(last, made_by, numbers, file) or last
        kept.append(last)
        needed.update(last.inputs)
    return kept[::-1]


def constants(file: OnnxFile) -> dict[str, float]:
    """Return the constants of a file that are one number."""
    arrays = dict(file.arrays)
    for node in file.nodes:
        if node.op == "Constant" and "value" in node.attributes:
            arrays[node.outputs[0]] = np.asarray(node.attributes["value"])
    return {name: float(a.reshape(-1)[0]) for name, a in arrays.items()
            if a.size == 1 and a.dtype.kind == "f"}  # fmt: skip


def softplus(last: Node, made_by: dict[str, Node], numbers: dict[str, float]) -> Node | None:
    """Return the node of softplus in ``x > threshold ? x : softplus(x)``, None if it is not."""
    if last.op != "Where":
        return None
    test, soft = made_by.get(last.inputs[0]), made_by.get(last.inputs[2])
    if test is None or soft is None or (test.op, soft.op) != ("Greater", "Softplus"):
        return None
    alike = test.inputs[0] == last.inputs[1] == soft.inputs[0]
    return soft if alike and numbers.get(test.inputs[1], 0) >= 20 else None


def padded_max_pool(
    last: Node, made_by: dict[str, Node], numbers: dict[str, float], file: OnnxFile
) -> Node | None:
    """Return a max pooling with the padding of -inf before it as its own, None if there is none."""
    pad = made_by.get(last.inputs[0])
    if pad is None or pad.op != "Pad" or len(pad.inputs) != 3:
        return None
    outside, given = numbers.get(pad.inputs[2], 0.0), file.arrays.get(pad.inputs[1])
    plain = pad.attributes.get("mode", "constant") == "constant" and not (
        last.attributes.get("ceil_mode", 0) or last.attributes.get("auto_pad", "NOTSET") != "NOTSET"
    )
    if given is None or not plain or outside > LOWEST:
        return None
    sides = np.asarray(given, np.int64).reshape(2, -1)
    if sides[:, :2].any() or (sides < 0).any():
        return None
    own = last.attributes.get("pads", [0] * (sides.size - 4))
    pads = [int(a + b) for a, b in zip(sides[:, 2:].reshape(-1), own, strict=True)]
    return replace(last, inputs=[pad.inputs[0]], attributes=last.attributes | {"pads": pads})


def products(
    last: Node, made_by: dict[str, Node], numbers: dict[str, float]
) -> Iterator[list[str]]:
    """Yield the names of three factors of a product, in each way that there is."""
    if not multiplies(last, numbers):
        return
    for index, name in enumerate(last.inputs):
        node = made_by.get(name)
        if node is not None and multiplies(node, numbers):
            yield [*last.inputs[:index], *node.inputs, *last.inputs[index + 1 :]]


def multiplies(node: Node, numbers: dict[str, float]) -> bool:
    """Return whether a node is a product; divided by 2, it is one by a half."""
    return node.op == "Mul" or (node.op == "Div" and numbers.get(node.inputs[1]) == 2)


def gelu_input(names: list[str], made_by: dict[str, Node], numbers: dict[str, float]) -> str | None:
    """Return the name of x if these are the factors x, 1 + erf(x / sqrt(2)) and a half."""
    half = [name for name in names if numbers.get(name) in (0.5, 2)]
    for name in names:
        rest = [other for other in names if other != name and other not in half]
        plus = made_by.get(name)
        if plus is None or plus.op != "Add" or len(half) != 1 or len(rest) != 1:
            continue
        erfs = [made_by[n] for n in plus.inputs if n in made_by and made_by[n].op == "Erf"]
        if len(erfs) != 1 or not any(numbers.get(n) == 1 for n in plus.inputs):
            continue
        scaled = made_by.get(erfs[0].inputs[0])
        if scaled is None or rest[0] not in scaled.inputs:
            continue
        factor = next((numbers[n] for n in scaled.inputs if n in numbers), 0.0)
        wanted = {"Div": sqrt(2), "Mul": sqrt(0.5)}.get(scaled.op, inf)
        if abs(factor - wanted) < 1e-4:
            return rest[0]
    return None
