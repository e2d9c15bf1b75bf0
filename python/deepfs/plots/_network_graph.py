"""A network as boxes and lines between them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .._trees import is_shape, leaves
from ..layers import Branches, Checkpoint, Graph, Identity, Residual, Sequential

# Layers that are written into the box of the layer before them.
JOINED = {
    "BatchNorm", "GroupNorm", "InstanceNorm", "LayerNorm",
    "ReLU", "LeakyReLU", "PReLU", "ELU", "SELU", "GELU", "SiLU", "HardSwish", "Sigmoid", "Tanh",
    "Softplus", "Clip", "Softmax", "Step", "Dropout", "SpatialDropout", "GaussianNoise",
}  # fmt: skip
LINE = 24  # most characters of a line in a box, where kinds can be divided


@dataclass
class Box:
    """A layer, or a few in a row, in a diagram.

    Attributes
    ----------
    kinds : list of str
        What it does.
    shape : Any
        Shape of the output without the batch axis, or a tree of these.
    inputs : list of int
        Numbers of the boxes whose outputs it takes.
    group : str
        Kind of the first layer: its colour.
    row, lane : int
        Place: counted from the top, and from the left.
    """

    kinds: list[str]
    shape: Any
    inputs: list[int]
    group: str
    row: int = 0
    lane: int = 0
    lines: list[str] = field(default_factory=list)


def boxes_of(network: Any) -> list[Box]:
    """Return the boxes of a built network in the order in which they run, with their places."""
    boxes: list[Box] = []
    in_shape = network.in_shape
    shapes = [in_shape] if is_shape(in_shape) else list(leaves(in_shape))
    names = list(in_shape) if isinstance(in_shape, dict) else []
    for number, shape in enumerate(shapes):
        name = names[number] if names else "input"
        boxes.append(Box([str(name)], shape, [], "Input"))
    add(network, in_shape, list(range(len(shapes))), boxes)
    boxes = joined(boxes)
    for box in boxes:
        box.lines = [*wrapped(box.kinds), shape_text(box.shape)]
    place(boxes)
    return boxes


def add(layer: Any, in_shape: Any, inputs: list[int], boxes: list[Box]) -> list[int]:
    """Append the boxes of a layer; return the numbers of those with its outputs."""
    if isinstance(layer, Sequential | Checkpoint):
        for _, part, shape in layer._calls(in_shape):
            inputs = add(part, shape, inputs, boxes)
        return inputs
    if isinstance(layer, Identity):  # a line
        return inputs
    out_shape = layer.out_shape(in_shape)
    if isinstance(layer, Residual):
        ends = add(layer.body, in_shape, inputs, boxes)
        past = inputs if layer.shortcut is None else add(layer.shortcut, in_shape, inputs, boxes)
        boxes.append(Box(["Add"], out_shape, [*ends, *past], "Add"))
        return [len(boxes) - 1]
    if isinstance(layer, Branches):
        ends = [end for _, part, shape in layer._calls(in_shape)
                for end in add(part, shape, inputs, boxes)]  # fmt: skip
        kind = "Add" if layer.merge == "add" else "Concat"
        boxes.append(Box([kind], out_shape, ends, kind))
        return [len(boxes) - 1]
    if isinstance(layer, Graph):
        values = list(inputs)
        for (_, part, shape), call in zip(layer._calls(in_shape), layer._wired, strict=True):
            values += add(part, shape, [values[v] for v in leaves(call.inputs)], boxes)
        return [values[v] for v in leaves(layer.outputs)]
    kind = type(layer).__name__
    boxes.append(Box([described(layer)], out_shape, list(inputs), kind))
    outputs = 1 if is_shape(out_shape) else len(list(leaves(out_shape)))
    return [len(boxes) - 1] * outputs


def described(layer: Any) -> str:
    """Return the kind of a layer with the size of its windows: ``Conv2D 3x3 /2``."""
    text = type(layer).__name__
    size = getattr(layer, "kernel_size", None)
    if size is not None:
        text += " " + "x".join(map(str, pair(size)))
        stride = getattr(layer, "stride", 1)
        standard = size if "Pool" in text else 1
        if stride is not None and pair(stride) != pair(standard):
            steps = pair(stride)
            text += f" /{steps[0]}" if len({*steps}) == 1 else f" /{steps}"
    return text


def pair(value: Any) -> tuple[int, ...]:
    """Return one or two ints as a tuple without repetition where one was given for 1-D."""
    return tuple(value) if isinstance(value, (tuple, list)) else (value, value)


def joined(boxes: list[Box]) -> list[Box]:
    """Return boxes of which those of activations and norms are written into those before them."""
    uses = [0] * len(boxes)
    for box in boxes:
        for number in box.inputs:
            uses[number] += 1
    kept: list[Box] = []
    at: list[int] = []  # number of each box among those kept
    for box in boxes:
        inputs = [at[number] for number in box.inputs]
        before = kept[inputs[0]] if len(inputs) == 1 else None
        if (
            before is not None
            and box.group in JOINED
            and uses[box.inputs[0]] == 1
            and before.group != "Input"
            and before.shape == box.shape
        ):
            before.kinds += box.kinds
            at.append(inputs[0])
            continue
        at.append(len(kept))
        kept.append(Box(box.kinds, box.shape, inputs, box.group))
    return kept


def wrapped(kinds: list[str]) -> list[str]:
    """Return kinds in lines that are not too long."""
    lines: list[str] = []
    for kind in kinds:
        if lines and len(lines[-1]) + len(kind) + 2 <= LINE:
            lines[-1] += f", {kind}"
        else:
            lines.append(kind)
    return lines


def shape_text(shape: Any) -> str:
    """Return a shape as ``16x26x26``; several are listed."""
    shapes = [shape] if is_shape(shape) else list(leaves(shape))
    texts = ["x".join(map(str, one)) or "1" for one in shapes]
    return ", ".join(texts)


def place(boxes: list[Box]) -> None:
    """Give each box a row below all that it takes, and a lane that is free there."""
    for box in boxes:
        box.row = max((boxes[i].row + 1 for i in box.inputs), default=0)
    last = [box.row for box in boxes]  # row to which a box's lane is needed
    for box in boxes:
        for i in box.inputs:
            last[i] = max(last[i], box.row)
    free_from: list[int] = []  # of each lane
    for number in sorted(range(len(boxes)), key=lambda i: (boxes[i].row, i)):
        box = boxes[number]
        wished = sorted(boxes[i].lane for i in box.inputs)[:1]
        for lane in [*wished, *range(len(free_from) + 1)]:
            if lane == len(free_from):
                free_from.append(0)
            if free_from[lane] <= box.row:
                box.lane = lane
                break
        follows = [other for other in boxes if number in other.inputs]
        direct = any(other.row == box.row + 1 and len(other.inputs) == 1 for other in follows)
        # a chain goes on below it; what jumps further is drawn beside the lanes
        free_from[box.lane] = box.row + 1 if direct or not follows else max(last[number], 1)


def cuts_of(boxes: list[Box]) -> dict[int, int]:
    """Return the rows after which the diagram can go on in a next column, with the one source.

    There, all lines that cross come from one box.
    """
    found = {}
    for row in range(max(box.row for box in boxes)):
        sources = {i for box in boxes if box.row > row for i in box.inputs if boxes[i].row <= row}
        late = any(box.row > row and not box.inputs for box in boxes)
        if len(sources) == 1 and not late:
            found[row] = sources.pop()
    return found
