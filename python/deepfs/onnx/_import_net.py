"""The importer: it walks through the nodes of an ONNX file and calls layers on symbolic tensors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .. import layers as L
from .._arrays import Array
from .._trees import leaves
from .._warn import warn
from ..layers import Layer
from ..saving.tensors import CheckpointError
from . import (  # noqa: F401 they fill READERS
    _import_activation,
    _import_dense,
    _import_merge,
    _import_norm,
    _import_pool,
    _import_shape,
    _import_window,
)
from ._import_file import Node, OnnxFile
from ._import_fold import FOLDED, fold, shape_vector
from ._import_inputs import given_shapes, sample_shape
from ._import_layout import channels_last_inputs
from ._import_refused import REASONS
from ._import_rewrite import rewritten
from ._import_values import READERS, Known, Refused, Value

Weights = dict[str, Array]
# What readers raise themselves, and what layers, NumPy and Python do of attributes that are wrong.
WRONG = (Refused, ValueError, TypeError, LookupError, ArithmeticError, AttributeError)


class Importer:
    """A file on its way to a network.

    Attributes
    ----------
    known : dict of Value or array
        What the arrays of the file are, by name: tensors, or constants.
    weights : dict of dict of array
        The weights of layers, by the ``id`` of the layer, then by their names there.
    made_by : dict of Node
        The node that gives an array, by the name of the array.
    """

    def __init__(self, file: OnnxFile, input_shape: Any = None) -> None:
        self.file = file
        self.known: dict[str, Known] = dict(file.arrays)
        self.weights: dict[int, Weights] = {}
        self.made_by: dict[str, Node] = {}
        self.inputs: dict[str, Any] = {}
        self.batch: int | None = None  # the number of samples that the file states
        self.turned: dict[str, tuple[int, ...]] = {}  # inputs that come with channels last
        self.dtype: type = np.float32
        self.refused: list[str] = []
        self.affine: dict[int, Layer] = {}  # layers of constants of the file, by their tensors
        self.shared: dict[Any, Layer] = {}
        self.nodes = rewritten(file)
        self.takers: dict[str, list[Node]] = {}
        for node in self.nodes:
            for name in node.inputs:
                self.takers.setdefault(name, []).append(node)
        self.uses = Counter({name: len(nodes) for name, nodes in self.takers.items()})
        self.uses.update(file.outputs)
        self.done: dict[str, str] = {}  # outputs of nodes that the node before them has done
        self.names: dict[int, list[str]] = {}  # of the arrays that a tensor stands for
        self.made: list[Any] = []  # all layers and tensors, so that no two have one id
        self._inputs(input_shape)

    # What the file has

    def _inputs(self, given: Any) -> None:
        """Make a tensor for each input that something uses."""
        shapes = given_shapes(self.file, given)
        self.turned = channels_last_inputs(self.file)
        for entry in self.file.inputs:
            if not self.uses[entry.name]:
                warn(f"the input {entry.name!r} of {self.file.path} is not used, and left out")
                continue
            takers = {node.op for node in self.takers.get(entry.name, ())}
            try:
                shape = sample_shape(entry, takers, shapes.get(entry.name))
            except Refused as error:
                self._refuse(f"input {entry.name!r}", error)
                continue
            if self.batch is None and entry.extents:
                self.batch = entry.extents[0]
            if entry.dtype == np.float64:
                self.dtype = np.float64
            order, first = self.turned.get(entry.name), shape
            if order is not None:
                first = tuple(shape[order.index(axis)] for axis in range(len(order)))
            tensor = self.inputs[entry.name] = L.Input(first, name=entry.name)
            self._keep(entry.name, Value(tensor, shape, order, f"input {entry.name!r}"))

    def _keep(self, name: str, made: Known) -> None:
        self.known[name] = made
        if isinstance(made, Value):
            self.names.setdefault(id(made.tensor), []).append(name)

    def _refuse(self, what: str, why: object) -> None:
        line = f"{what}: {why}"
        if line not in self.refused:
            self.refused.append(line)

    def read(self) -> None:
        """Make layers of all nodes; raise ValueError that names all that cannot be read."""
        self._fold()
        numbers = self._numbers()
        for node in self.nodes:
            self.made_by.update(dict.fromkeys(node.outputs, node))
            if node.outputs[0] in self.known:
                continue
            if node.op not in READERS and node.outputs[0] not in numbers:
                self._refuse(str(node), reason(node.op))
                continue
            if any(name and name not in self.known for name in node.inputs):
                continue  # what it takes was refused
            try:
                before = self.done.get(node.outputs[0])
                self._keep(node.outputs[0], self.known[before] if before else self._read(node))
                extra = [name for name in node.outputs[1:] if name and self.uses[name]]
                if extra:
                    raise Refused(f"its output {extra[0]!r} is used, and only the first is read")
            except WRONG as error:
                self.known.pop(node.outputs[0], None)
                self._refuse(str(node), error)
        if self.refused:
            raise ValueError(
                f"deepfs.onnx.load cannot read {self.file.path}:\n- " + "\n- ".join(self.refused)
            )

    def _fold(self) -> None:
        """Compute all nodes that need constants only, so that readers can look ahead."""
        for node in self.nodes:
            given = [self.known.get(name) if name else None for name in node.inputs]
            lacking = any(name and name not in self.known for name in node.inputs)
            if node.op in FOLDED and not lacking and not any(isinstance(a, Value) for a in given):
                try:
                    self.known[node.outputs[0]] = fold(node, given)  # type: ignore[arg-type]
                except WRONG as error:
                    self._refuse(str(node), error)

    def _numbers(self) -> set[str]:
        """Return the names of all that does not depend on the numbers of inputs, but on shapes."""
        found = {"", *self.file.arrays}
        for node in self.nodes:
            if node.op == "Shape" or (node.op in FOLDED and found.issuperset(node.inputs)):
                found.update(node.outputs)
        return found

    def _read(self, node: Node) -> Known:
        given = [self.known[name] if name else None for name in node.inputs]
        if node.op == "Shape" and isinstance(given[0], Value):
            start, end = (node.attributes.get(key) for key in ("start", "end"))
            return shape_vector(given[0].shape)[start:end]
        constants = [array for array in given if not isinstance(array, Value)]
        if len(constants) == len(given) and node.op in FOLDED:
            return fold(node, constants)
        if node.op not in READERS:
            raise Refused(reason(node.op))
        return READERS[node.op](self, node)

    # What readers ask

    def value(self, node: Node, index: int = 0) -> Value:
        """Return an input of a node that is computed; refuse a constant."""
        found = self.known[node.inputs[index]]
        if not isinstance(found, Value):
            raise Refused(f"its input {node.inputs[index]!r} is a constant")
        return found

    def constant(self, node: Node, index: int) -> Array | None:
        """Return an input of a node that is constant, None if it is left out; refuse others."""
        if index >= len(node.inputs) or not node.inputs[index]:
            return None
        found = self.known[node.inputs[index]]
        if isinstance(found, Value):
            raise Refused(f"its input {node.inputs[index]!r} is not in the file, but computed")
        return found

    def array(self, node: Node, index: int) -> Array:
        """Return an input of a node that must be there, and constant."""
        found = self.constant(node, index)
        if found is None:
            raise Refused(f"it lacks its input {index}")
        return found

    def settled(self, value: Value) -> Any:
        """Return a tensor that has the shape of the file, with a Flatten or Reshape if needed."""
        if value.order is not None:
            raise Refused(
                f"it takes what {value.turned} permuted, and deepfs has no layer that permutes axes"
            )
        if value.tensor.shape == value.shape:
            return value.tensor
        layer = L.Flatten() if len(value.shape) == 1 else L.Reshape(value.shape)
        return self.call(layer, value.tensor)

    def tensor(self, node: Node, index: int = 0) -> Any:
        """Return an input of a node as a tensor of the shape of the file."""
        return self.settled(self.value(node, index))

    def alone(self, tensor: Any) -> bool:
        """Return whether no other node needs this tensor: its layer may then be changed."""
        return all(self.uses[name] <= 1 for name in self.names.get(id(tensor), ()))

    # What readers do

    def call(self, layer: Layer, x: Any, weights: Weights | None = None) -> Any:
        """Call a layer; ``weights`` are its arrays."""
        made = layer(x)
        if weights is not None:
            self.weights[id(layer)] = weights
        self.made.append((layer, made))
        return made

    def learned(self, node: Node, layer: Layer, x: Any, weights: Weights) -> Any:
        """Call a layer; nodes with the same arrays and settings are one layer with shared weights.

        Arrays of one value only do not tell: exporters store equal arrays of different layers once.
        """
        names = tuple(name for name in node.inputs if name in self.file.arrays)
        if names and any(np.ptp(array) > 0 for array in weights.values() if array.size):
            settings = sorted((key, str(value)) for key, value in node.attributes.items())
            same = self.shared.setdefault((node.op, names, tuple(settings)), layer)
            known = self.weights.get(id(same), weights)
            if known.keys() == weights.keys() and all(
                np.array_equal(known[key], weights[key]) for key in known
            ):
                layer = same
        return self.call(layer, x, weights)

    def bias_after(self, node: Node, units: int, pixels: int = 0) -> Array | None:
        """Return the constant that the next node adds to each channel; that node is then done.

        Keras has biases as nodes of their own. ``pixels`` is the number of axes after the channels.
        """
        name = node.outputs[0]
        if self.uses[name] != 1 or name in self.file.outputs:
            return None
        add = self.takers[name][0]
        others = [self.known.get(other) for other in add.inputs if other != name]
        if add.op != "Add" or len(others) != 1 or not isinstance(others[0], np.ndarray):
            return None
        shape = (units,) + (1,) * pixels
        if others[0].shape not in (shape, (1, *shape)):
            return None
        self.done[add.outputs[0]] = name
        return others[0].reshape(units)

    # The network

    def network(self) -> Layer:
        """Return the layers as a Sequential if they are a chain, else as a Graph, with weights."""
        outputs = {name: self._output(name) for name in self.file.outputs}
        one_in, one_out = len(self.inputs) == 1, len(outputs) == 1
        graph = L.Graph(
            next(iter(self.inputs.values())) if one_in else self.inputs,
            next(iter(outputs.values())) if one_out else outputs,
        )
        chain = chain_of(graph) if one_in and one_out else None
        network: Layer = graph if chain is None else L.Sequential(chain)
        network.build(graph._declared, self.dtype)
        for layer in graph.layers:
            if id(layer) in self.weights:
                give(self.file, layer, self.weights[id(layer)])
        return network

    def _output(self, name: str) -> Any:
        """Return the tensor of an output; images keep the order of deepfs in files of Keras."""
        value = self.known[name]
        if not isinstance(value, Value):
            raise ValueError(f"{self.file.path} gives a constant as its output {name!r}")
        if value.order is not None and value.plain and self.turned:
            value = Value(value.tensor, value.tensor.shape)
        try:
            tensor = self.settled(value)
        except Refused as error:
            raise ValueError(
                f"deepfs.onnx.load cannot read {self.file.path}:\n- output {name!r}: {error}"
            ) from error
        given = {id(known) for known in self.inputs.values()}
        return self.call(L.Identity(), tensor) if id(tensor) in given else tensor


def reason(operator: str) -> str:
    """Return why an operator is not read."""
    return REASONS.get(operator, "deepfs has no such layer")


def chain_of(graph: L.Graph) -> Sequence[Layer] | None:
    """Return the layers of a graph that is a chain, in their order; None if it is none."""
    for number, (_, inputs) in enumerate(graph.calls):
        if list(leaves(inputs)) != [number]:
            return None
    if graph.outputs != len(graph.calls):
        return None
    return [graph.layers[which] for which, _ in graph.calls]


def give(file: OnnxFile, layer: Layer, arrays: Mapping[str, Array]) -> None:
    """Set weights of a built layer."""
    weights = layer.get_weights()
    for key, array in arrays.items():
        if not np.isfinite(array).all():
            raise CheckpointError(
                f"{file.path} has numbers that are not finite in the {key} of a "
                f"{type(layer).__name__}"
            )
        weights[key] = array.astype(weights[key].dtype).reshape(weights[key].shape)
    layer.set_weights(weights)
