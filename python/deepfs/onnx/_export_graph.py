"""The ONNX graph that is being written: its nodes, its constants, names and shapes of its values.

Each layer adds its nodes to an `OnnxGraph`. Which function writes which layer is in `WRITERS`, to
which the modules ``_export_*.py`` add theirs by `writes`; a layer of a user has a method
``to_onnx(graph, x)`` instead. Shapes are those of samples, without the batch axis, which is open.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import DTypeLike

from .._arrays import Array, Shape
from .._check import shown
from .._names import hint
from .._trees import Tree, leaves, map_tree
from ..layers import Layer
from ..layers._symbolic import entries
from ..preprocessing import Preprocess

OPSET = 17  # the first version of ONNX's operators with LayerNormalization
MAX_BYTES = 2**31 - 2**20  # of weights: a protobuf message holds at most 2 GB

Value: TypeAlias = str  # name of a value: an input, a constant, or the output of a node
Writer: TypeAlias = Callable[["OnnxGraph", Any, Any], Any]
W = TypeVar("W", bound=Writer)

WRITERS: dict[type, Writer] = {}


def writes(*kinds: type) -> Callable[[W], W]:
    """Register the function that adds the nodes of these classes and returns the output's name."""

    def register(writer: W) -> W:
        WRITERS.update(dict.fromkeys(kinds, writer))
        return writer

    return register


class OnnxGraph:
    """An ONNX graph to which layers add their nodes.

    Attributes
    ----------
    dtype : dtype
        That of the network's numbers in the file, float32 or float64.
    opset : int
        The version of ONNX's operators that the nodes need so far, at least 17.
    """

    def __init__(self, onnx: Any, dtype: DTypeLike) -> None:
        self.onnx, self.dtype, self.opset = onnx, np.dtype(dtype), OPSET
        self.nodes: list[Any] = []
        self.constants: dict[Value, Array] = {}
        self._bytes = 0
        self._shapes: dict[Value, Shape] = {}
        self._names: set[str] = set()
        self._owners: dict[int, str] = {}  # where a layer, by its id, occurs first
        self._versions: dict[str, int] = {}
        self._path = self._owner = ""

    def node(
        self, operator: str, *inputs: Value | None, opset: int = OPSET, **attributes: Any
    ) -> Value:
        """Add a node with one output; return the name of the output.

        Parameters
        ----------
        operator : str
            Name of an ONNX operator, such as ``"Relu"``.
        inputs : str or None
            Names of its inputs; None for an optional one that is left out.
        opset : int
            The first version of ONNX's operators that takes these inputs and attributes, if that is
            above 17 and not the version in which the operator appeared.
        attributes
            Its attributes.

        Raises
        ------
        ValueError
            If there is no such operator.
        """
        if operator not in self._versions:
            self._versions[operator] = self._since(operator)
        self.opset = max(self.opset, opset, self._versions[operator])
        name = self.unique(f"{self._path}/{operator}".lstrip("/"))
        given = ["" if value is None else value for value in inputs]
        made = self.onnx.helper.make_node(operator, given, [name], name=name, **attributes)
        self.nodes.append(made)
        return name

    def constant(self, value: Any, name: str = "constant", dtype: DTypeLike | None = None) -> Value:
        """Add a constant; return its name. One that is equal and of the same name is shared.

        Parameters
        ----------
        value : array
            The numbers, in logical order: ``parameter.value``, not its ``storage``.
        name : str
            Its name in the layer, such as ``"weight"``.
        dtype : dtype, optional
            By default that of the network for floating-point numbers, int64 for others.
        """
        given = np.asarray(value)
        if dtype is None:
            dtype = self.dtype if given.dtype.kind == "f" else np.int64
        with np.errstate(over="ignore"):
            array = given.astype(dtype, order="C")
        if array.dtype.kind == "f" and np.isfinite(given).all() and not np.isfinite(array).all():
            raise ValueError(
                f"{self._owner or 'the network'} has numbers in {name} beyond {array.dtype}, such "
                f"as {given.flat[np.abs(given).argmax()]:g}: export it in its own dtype"
            )
        whole = f"{self._owner}.{name}".lstrip(".")
        known = self.constants.get(whole)
        if known is not None and known.dtype == array.dtype and np.array_equal(known, array):
            return whole
        whole = self.unique(whole)
        self.constants[whole] = array
        self._bytes += array.nbytes
        if self._bytes > MAX_BYTES:
            raise ValueError(
                f"an ONNX file holds at most 2 GB, got more weights at {whole}: save the model "
                "with model.save(path) instead"
            )
        return whole

    def parameter(self, layer: Layer, name: str) -> Value:
        """Add a parameter of a layer under its own name; return its name."""
        return self.constant(layer.learned[name].value, name)

    def cast(self, x: Value, dtype: DTypeLike) -> Value:
        """Add a node that gives a value another dtype; return the name of the result."""
        return self.node("Cast", x, to=self.onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def shape_of(self, x: Value) -> Shape:
        """Return the shape of a sample of an input of the network, or of what a layer returned."""
        if x not in self._shapes:
            raise ValueError(
                f"the shape of {x!r} is not known: it is neither an input of a layer nor what "
                "graph.layer returned; write graph.layer(part, x, in_shape=...)"
            )
        return self._shapes[x]

    def layer(self, layer: Layer, x: Tree, name: str | None = None, in_shape: Any = None) -> Tree:
        """Add the nodes of a layer, such as a part of a container; return the output's name.

        Parameters
        ----------
        layer : Layer
            The layer. If its class has a method ``to_onnx(graph, x)``, that adds them.
        x : str, or tuple or dict of str
            Names of its inputs.
        name : str, optional
            Its name in the container. By default that of the layer.
        in_shape : tuple of int, optional
            Shape of a sample of the input. By default it is known from the layer before.

        Raises
        ------
        TypeError
            If the layer has no ONNX form, or ``to_onnx`` returns something else than names.
        """
        if in_shape is None:
            in_shape = map_tree(self.shape_of, x)
        else:
            self.note(x, in_shape)
        out_shape = layer.out_shape(in_shape)
        if name is None:
            name = layer.name or layer.given_name or type(layer).__name__.lower()
        with self.within(name, layer):
            made = self.written(layer, x)
        self.note(made, out_shape)
        return made

    @contextmanager
    def within(self, name: str, part: Any) -> Iterator[None]:
        """Name what is added inside after a part, and its constants after where it occurs first."""
        before = self._path, self._owner
        self._path = f"{self._path}.{name}".strip(".")
        self._owner = self._owners.setdefault(id(part), self._path)
        try:
            yield
        finally:
            self._path, self._owner = before

    def written(self, part: Layer | Preprocess, x: Tree) -> Tree:
        """Add the nodes of a layer or a step of preprocessing; return the name of the output."""
        kind, label = type(part), part.label if isinstance(part, Layer) else type(part).__name__
        write: Any = getattr(part, "to_onnx", None)
        made = write(self, x) if write is not None else self._writer(kind, label)(self, part, x)
        if not all(isinstance(value, str) and value in self._names for value in leaves(made)):
            raise TypeError(
                f"{label}.to_onnx must return the name of its output, as graph.node(...) does, "
                f"got {shown(made)}"
            )
        return made

    @staticmethod
    def _writer(kind: type, label: str) -> Writer:
        if kind not in WRITERS:
            raise TypeError(
                f"{label} has no ONNX form: give {kind.__name__} a method to_onnx(self, graph, x) "
                'that adds its nodes, such as return graph.node("Relu", x); see docs/onnx.md'
            )
        return WRITERS[kind]

    def note(self, x: Tree, shapes: Any) -> None:
        """Keep the shapes of values."""
        self._shapes.update(zip(leaves(x), entries(shapes), strict=True))

    def unique(self, name: str) -> str:
        """Return a name that no value has yet: this one, or with a number."""
        made, number = name, 1
        while made in self._names:
            number += 1
            made = f"{name}_{number}"
        self._names.add(made)
        return made

    def rename(self, old: Value, new: Value) -> None:
        """Give the output of a node another name."""
        for node in self.nodes:
            for names in (node.input, node.output):
                for at, name in enumerate(names):
                    if name == old:
                        names[at] = new

    def _since(self, operator: str) -> int:
        """Return the first version, from `OPSET` on, that has an operator."""
        defs = self.onnx.defs
        for version in range(OPSET, defs.onnx_opset_version() + 1):
            try:
                if not defs.get_schema(operator, version).deprecated:
                    return version
            except defs.SchemaError:
                continue
        known = {schema.name for schema in defs.get_all_schemas()}
        raise ValueError(f"onnx {self.onnx.__version__} has no operator {operator!r}"
                         f"{hint(operator, known)}")  # fmt: skip
