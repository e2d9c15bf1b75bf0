"""Reading of ONNX files: what can be wrong with a file is found here, before anything is built."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from .._arrays import Array
from ..saving.tensors import CheckpointError
from ._need import need_onnx

OLDEST, NEWEST = 11, 28  # operator sets whose definitions the converters follow
LISTED = 6  # names that a message lists


@dataclass
class Node:
    """An operation of the file: its operator, and the names of what it takes and gives."""

    op: str
    name: str
    inputs: list[str]
    outputs: list[str]
    attributes: dict[str, Any]
    opset: int

    def __str__(self) -> str:
        """Return how messages name it: most exporters give names, others leave them empty."""
        return f"{self.op} {self.name!r}" if self.name else f"{self.op} giving {self.outputs[0]!r}"


@dataclass
class Entry:
    """An input of the file: its extents, of which None are free, the batch axis included."""

    name: str
    extents: tuple[int | None, ...] | None
    dtype: np.dtype[Any]


@dataclass
class OnnxFile:
    """What a file has: inputs, outputs, nodes in their order, and arrays by name."""

    path: Path
    inputs: list[Entry]
    outputs: list[str]
    nodes: list[Node]
    arrays: dict[str, Array] = field(default_factory=dict)


def read(path: str | Path) -> OnnxFile:
    """Return what an ONNX file has, checked.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    CheckpointError
        If it is damaged, lacks arrays, keeps them in other files, or is newer than deepfs knows.
    """
    onnx = need_onnx("deepfs.onnx.load")
    path = Path(path).expanduser()
    data = path.read_bytes()
    try:
        model = onnx.load_model_from_string(data)
    except Exception as error:  # protobuf has errors of its own, which differ between versions
        raise CheckpointError(f"{path} is no ONNX file, or is damaged: {error}") from error
    if not model.graph.output:  # what protobuf makes of an empty file, and of some others
        raise CheckpointError(f"{path} is no ONNX file, or is damaged: it has no graph")
    opset = checked_versions(path, model, onnx)
    check_arrays(path, model, onnx)
    try:
        if model.functions:
            from onnx import inliner

            model = inliner.inline_local_functions(model)
        onnx.checker.check_model(model)
    except Exception as error:  # ValidationError, and others of C++
        first = str(error).strip().splitlines()[0]
        raise CheckpointError(f"{path} is damaged: {first}") from error
    return contents(path, model, opset, onnx)


def checked_versions(path: Path, model: Any, onnx: ModuleType) -> int:
    """Return the operator set of a file; raise for one that is too old or too new."""
    if model.ir_version > onnx.IR_VERSION:
        raise CheckpointError(
            f"{path} has ONNX IR version {model.ir_version}, and onnx {onnx.__version__} reads "
            f"versions up to {onnx.IR_VERSION}: pip install -U onnx, or export the model with "
            "another version"
        )
    sets = {entry.domain: entry.version for entry in model.opset_import}
    opset = int(sets.get("", sets.get("ai.onnx", 0)))
    if not opset:
        raise CheckpointError(f"{path} does not say of which ONNX operator set its nodes are")
    newest = min(NEWEST, onnx.defs.onnx_opset_version())
    if not OLDEST <= opset <= newest:
        raise CheckpointError(
            f"{path} has ONNX operator set {opset}, and deepfs.onnx.load reads {OLDEST} to "
            f"{newest}: export the model with one of these, such as opset_version=17"
        )
    return opset


def check_arrays(path: Path, model: Any, onnx: ModuleType) -> None:
    """Raise if arrays are in other files, or are missing."""
    tensors = [*model.graph.initializer, *constants(model.graph.node)]
    outside = [t.name for t in tensors if t.data_location == onnx.TensorProto.EXTERNAL]
    if outside:
        raise CheckpointError(
            f"{path} keeps arrays in other files, which are not read, because a file could name "
            f"any: {names(outside)}. Write one file: onnx.save(onnx.load({path.name!r}), "
            "'one.onnx'), or with PyTorch torch.onnx.export(..., external_data=False)"
        )
    graph = model.graph
    known = {"", *(v.name for v in graph.input), *(t.name for t in graph.initializer)}
    known |= {t.values.name for t in graph.sparse_initializer}
    known |= {name for node in graph.node for name in node.output}
    used = [*(n for node in graph.node for n in node.input), *(v.name for v in graph.output)]
    missing = [name for name in dict.fromkeys(used) if name not in known]
    if missing:
        raise CheckpointError(
            f"{path} lacks arrays that its nodes take: {names(missing)}. Export the model with its "
            "weights, in PyTorch torch.onnx.export(..., export_params=True)"
        )


def constants(nodes: Any) -> Iterator[Any]:
    """Yield the tensors of Constant nodes."""
    for node in nodes:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t


def names(listed: list[str]) -> str:
    """Return names with commas between, of many the first."""
    more = f" and {len(listed) - LISTED} more" if len(listed) > LISTED else ""
    return ", ".join(repr(name) for name in listed[:LISTED]) + more


def contents(path: Path, model: Any, opset: int, onnx: ModuleType) -> OnnxFile:
    """Return inputs, outputs, nodes and arrays of a checked model."""
    graph, arrays = model.graph, {}
    for tensor in graph.initializer:
        try:
            arrays[tensor.name] = onnx.numpy_helper.to_array(tensor)
        except Exception as error:  # whatever NumPy and protobuf raise for wrong sizes
            raise CheckpointError(f"{path} is damaged: array {tensor.name!r}: {error}") from error
    inputs = [entry(path, value, onnx) for value in graph.input if value.name not in arrays]
    outputs = [value.name for value in graph.output]
    nodes = [
        Node(
            n.op_type if n.domain in ("", "ai.onnx") else f"{n.domain}.{n.op_type}",
            n.name, list(n.input), list(n.output),
            {a.name: attribute(path, a, onnx) for a in n.attribute}, opset,
        )
        for n in graph.node
    ]  # fmt: skip
    return OnnxFile(path, inputs, outputs, nodes, arrays)


def attribute(path: Path, given: Any, onnx: ModuleType) -> Any:
    """Return the value of an attribute as Python and NumPy have it; a graph stays what it is."""
    value = onnx.helper.get_attribute_value(given)
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, onnx.TensorProto):
        try:
            return onnx.numpy_helper.to_array(value)
        except Exception as error:
            raise CheckpointError(f"{path} is damaged: constant {value.name!r}: {error}") from error
    return list(value) if given.type in (given.FLOATS, given.INTS, given.STRINGS) else value


def entry(path: Path, value: Any, onnx: ModuleType) -> Entry:
    """Return the name, extents and dtype of an input."""
    if not value.type.HasField("tensor_type"):
        raise ValueError(
            f"deepfs.onnx.load takes arrays as inputs; {path} has {value.name!r} as "
            f"{value.type.WhichOneof('value')}"
        )
    kind = value.type.tensor_type
    dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type))
    if not kind.HasField("shape"):
        return Entry(value.name, None, dtype)
    extents = (d.dim_value if d.HasField("dim_value") else None for d in kind.shape.dim)
    return Entry(value.name, tuple(extents), dtype)
