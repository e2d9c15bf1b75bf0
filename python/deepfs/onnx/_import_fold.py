"""Nodes that compute constants and shapes: they are computed once, when the file is read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from .._arrays import Array
from ._import_file import Node
from ._import_values import BATCH, Refused, axis_in, size_of


def fold(node: Node, given: Sequence[Array | None]) -> Array:
    """Return what a node makes of constants."""
    if node.op not in FOLDED:
        raise Refused("it computes with constants alone, and deepfs.onnx.load does not know how")
    made: Array = FOLDED[node.op](node, *given)
    return made


def shape_vector(shape: Sequence[int]) -> Array:
    """Return what Shape gives for samples of a shape, with the number of samples in front."""
    vector = np.empty(len(shape) + 1, object)
    vector[:] = [BATCH, *shape]
    return vector


def constant(node: Node) -> Array:
    kinds = {"value_int": np.int64, "value_ints": np.int64,
             "value_float": np.float32, "value_floats": np.float32}  # fmt: skip
    if "value" in node.attributes:
        return np.asarray(node.attributes["value"])
    for key, dtype in kinds.items():
        if key in node.attributes:
            return np.asarray(node.attributes[key], dtype)
    raise Refused(f"it is a constant of a kind that is not read: {', '.join(node.attributes)}")


def constant_of_shape(node: Node, shape: Array) -> Array:
    value = np.asarray(node.attributes.get("value", np.zeros(1, np.float32)))
    extents = integers(shape)
    size_of(tuple(extents))
    return np.full(extents, value.reshape(-1)[0])


def axes_of(node: Node, given: Array | None) -> list[int] | None:
    """Return the axes of a node: an attribute before operator set 13 or 18, then an input."""
    axes = node.attributes.get("axes") if given is None else given
    return None if axes is None else [int(axis) for axis in np.ravel(axes)]


def unsqueeze(node: Node, x: Array, axes: Array | None = None) -> Array:
    found = axes_of(node, axes) or []
    return np.expand_dims(x, tuple(found))


def squeeze(node: Node, x: Array, axes: Array | None = None) -> Array:
    found = axes_of(node, axes)
    return np.squeeze(x, None if found is None else tuple(found))


def gather(node: Node, x: Array, indices: Array) -> Array:
    made = np.take(x, np.asarray(indices, np.int64), node.attributes.get("axis", 0))
    return np.asarray(made, x.dtype)


def cut(node: Node, x: Array, *given: Array | None) -> Array:
    """Return a Slice of a constant: starts, ends, axes and steps are inputs."""
    starts, ends, axes, steps = (
        None if a is None else integers(a) for a in (*given, None, None)[:4]
    )
    which = [slice(None)] * x.ndim
    for i, (start, end) in enumerate(zip(starts or [], ends or [], strict=True)):
        axis = axis_in(axes[i] if axes else i, x.ndim)
        step = steps[i] if steps else 1
        which[axis] = slice(start, None if step < 0 and end < -x.shape[axis] else end, step)
    return x[tuple(which)]


def cast(node: Node, x: Array) -> Array:
    import onnx

    if x.dtype == object:  # a shape stays a shape
        return x
    return x.astype(onnx.helper.tensor_dtype_to_np_dtype(node.attributes["to"]))


def reshape(node: Node, x: Array, shape: Array) -> Array:
    extents = integers(shape)
    if not node.attributes.get("allowzero", 0):
        extents = [x.shape[i] if extent == 0 else extent for i, extent in enumerate(extents)]
    return x.reshape(extents)


def transpose(node: Node, x: Array) -> Array:
    return x.transpose(node.attributes.get("perm"))


def concat(node: Node, *parts: Array) -> Array:
    mixed = any(part.dtype == object for part in parts)
    return np.concatenate(
        [p.astype(object) if mixed else p for p in parts], node.attributes["axis"]
    )


def divide(node: Node, a: Array, b: Array) -> Array:
    whole = all(array.dtype == object or array.dtype.kind in "iu" for array in (a, b))
    return a // b if whole else a / b


def reduce_prod(node: Node, x: Array, axes: Array | None = None) -> Array:
    found = axes_of(node, axes)
    made = np.prod(
        x, axis=None if found is None else tuple(found),
        keepdims=bool(node.attributes.get("keepdims", 1)),
    )  # fmt: skip
    return np.asarray(made, x.dtype)


def expand(node: Node, x: Array, shape: Array) -> Array:
    extents = np.broadcast_shapes(x.shape, tuple(integers(shape)))
    size_of(extents)
    return np.broadcast_to(x, extents)


def integers(array: Array) -> list[int]:
    """Return a constant as ints; refuse the number of samples among them."""
    return [int(entry) for entry in np.ravel(array)]


def numpy(function: Callable[..., Any]) -> Callable[..., Array]:
    """Return the reader of an operator that is a function of NumPy."""
    return lambda node, *given: np.asarray(function(*given))


FOLDED: dict[str, Callable[..., Array]] = {
    "Add": numpy(np.add), "Cast": cast, "Ceil": numpy(np.ceil), "Concat": concat,
    "Constant": constant, "ConstantOfShape": constant_of_shape, "Div": divide, "Exp": numpy(np.exp),
    "Expand": expand, "Floor": numpy(np.floor), "Gather": gather, "Identity": numpy(np.asarray),
    "Mul": numpy(np.multiply), "Neg": numpy(np.negative), "Pow": numpy(np.power),
    "Reciprocal": numpy(np.reciprocal), "ReduceProd": reduce_prod, "Reshape": reshape,
    "Shape": lambda node, x: np.array(x.shape, np.int64), "Size": numpy(np.size), "Slice": cut,
    "Sqrt": numpy(np.sqrt), "Squeeze": squeeze, "Sub": numpy(np.subtract),
    "Transpose": transpose, "Unsqueeze": unsqueeze,
}  # fmt: skip


def target_shape(
    node: Node, shape: Array, now: Sequence[int], fixed: int | None
) -> tuple[int, ...]:
    """Return the shape of samples that Reshape asks for; refuse to mix samples.

    ``now`` is the shape of samples; ``fixed`` the number of samples that the file states, if any.
    """
    wanted = list(np.ravel(shape))
    if not wanted:
        raise Refused("it gives one number, and deepfs keeps samples apart")
    zero = not node.attributes.get("allowzero", 0)
    first, rest = wanted[0], wanted[1:]
    extents = [
        now[i] if zero and isinstance(entry, (int, np.integer)) and entry == 0 and i < len(now)
        else int(entry)
        for i, entry in enumerate(rest)
    ]  # fmt: skip
    size = prod(now)
    if extents.count(-1) == 1 and first != -1:
        known = prod(extent for extent in extents if extent != -1)
        if known and size % known == 0:
            extents[extents.index(-1)] = size // known
    kept = first is BATCH or first in (-1, fixed) or (zero and first == 0)
    if not kept or prod(extents) != size or min(extents, default=1) < 0:
        raise Refused(
            f"it makes shape ({', '.join(map(str, wanted))}) of samples of shape {tuple(now)}: the "
            "number of samples must stay the first extent"
        )
    return tuple(extents)
