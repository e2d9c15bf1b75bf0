"""Networks with several inputs and outputs. Kernels: those of the parts."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

from .._arrays import Array, Shape, physical
from .._check import shown, whole
from .._settings import none_of
from .._trees import Tree, is_shape, leaves, map_shapes, map_tree
from . import _parameter
from ._base import Layer
from ._container import Container, name_parts
from ._fusion import PLAIN, Epilogue
from ._graph_plan import FIRST, FUSED, SUM, SUM_DRELU, BackLink, Called, Plan, Run, Wiring, plan_of
from ._several import Several, matched, sample_shapes
from ._symbolic import Tensor, entries, shape_of, tensors_in, wired
from .residual import add_arrays


class Cache(NamedTuple):
    """What a Graph keeps for backward."""

    calls: list[Any]  # the cache of each call
    shapes: Any  # of several outputs, with the batch axis; None: it is one


@dataclass(eq=False)
class Graph(Several, Container):
    """Container of layers called on each other's outputs: several inputs, outputs, any connections.

    Parameters
    ----------
    inputs : Tensor, or tuple or dict of them
        What `Input` returned. The graph takes arrays in the same form: one, a tuple or a dict.
    outputs : Tensor, or tuple or dict of them
        What layers returned that were called on the inputs, or on what other layers returned. The
        graph returns arrays in the same form. A tuple of one tensor is that tensor.
    layers, calls : tuple, optional
        The wiring as files have it, worked out from the tensors: the layers, and for each call the
        number of its layer and the numbers of the values it takes. ``outputs`` are then numbers.

    Raises
    ------
    TypeError, ValueError
        If an input or output is not a symbolic tensor; if an output depends on a tensor that is not
        among the inputs; if no output depends on an input; if two layers have the same name.

    Notes
    -----
    Shapes: those of the tensors. A layer that was called several times has one set of parameters,
    whose gradients add up. Layers are named in the order in which they were called. The layers
    are built for the shapes of the inputs; afterwards the graph takes all that its layers take.
    Layers run in the order of their calls, gradients are added in the reverse one. What
    `Sequential` and `Residual` fuse is fused, with the same bits.
    NumPy reference: `deepfs.reference.graph`.

    References
    ----------
    The functional API of Keras, ``keras.Model(inputs, outputs)``.

    Examples
    --------
    >>> from deepfs.layers import Concat, Dense, Graph, Input
    >>> image, age = Input((4,)), Input((1,))
    >>> h = Concat()([Dense(8)(image), age])
    >>> net = Graph({"image": image, "age": age}, Dense(2)(h))
    >>> net({"image": np.zeros((3, 4)), "age": np.zeros((3, 1))}).shape
    (3, 2)
    >>> list(net.parameters())
    ['dense_1.weight', 'dense_1.bias', 'dense_2.weight', 'dense_2.bias']
    """

    inputs: Any
    outputs: Any
    layers: Any = None
    calls: Any = None

    transparent = True  # tables show its parts only
    _inputs: ClassVar[int]  # the number of inputs

    def __post_init__(self) -> None:
        inputs = tensors_in(self.inputs, "inputs")
        if self.layers is None and self.calls is None:
            outputs = tensors_in(self.outputs, "outputs")
            self.layers, self.calls, self.outputs = wired(inputs, outputs)
            left = none_of(self) - {"layers", "calls"}  # not to be chosen again
            object.__setattr__(self, "_given_none", left)
        self.inputs = map_tree(lambda tensor: Tensor(tensor.shape, tensor.name), inputs)
        vars(self).update(_one=isinstance(self.inputs, Tensor), _inputs=count(self.inputs))
        layers, calls = self.layers, self.calls
        if not isinstance(layers, (tuple, list)) or not isinstance(calls, (tuple, list)):
            raise TypeError(f"Graph takes tuples of layers and calls, got {shown((layers, calls))}")
        self.layers = tuple(layers)
        self._parts = name_parts(self.layers, "Graph")
        self._wired = tuple(check_wiring(self))
        self._value_shapes(self._declared)

    @property
    def _declared(self) -> Any:
        """The shapes of the inputs."""
        return map_tree(shape_of, self.inputs)

    def named_parts(self) -> dict[str, Layer]:
        return self._parts

    def _matched(self, tree: Tree) -> Tree:
        return matched(self.label, self.inputs, tree)

    # Shapes

    def _value_shapes(self, in_shape: Any) -> list[Shape]:
        """Return the shape of each value for inputs of these shapes; check what layers take."""
        values = list(entries(in_shape))
        for tensor, shape in zip(leaves(self.inputs), values, strict=True):
            if len(shape) != len(tensor.shape):
                name = f" {tensor.name!r}" if tensor.name else ""
                raise ValueError(
                    f"{self.label} takes an input{name} of shape {('n', *tensor.shape)}, got "
                    f"{('n', *shape)}".replace("'n'", "n")
                )
        for part, inputs, _ in self._wired:
            values += entries(part.out_shape(map_tree(values.__getitem__, inputs)))
        return values

    def _out_shape(self, in_shape: Any) -> Any:
        if is_shape(in_shape) is not isinstance(self.inputs, Tensor):
            raise ValueError(f"{self.label} takes one input, got {len(in_shape)}")
        return map_tree(self._value_shapes(in_shape).__getitem__, self.outputs)

    def part_shapes(self, in_shape: Any) -> list[Any]:
        """Return the input shapes of each part in its first call."""
        values = self._value_shapes(in_shape)
        first: dict[int, Any] = {}
        for part, inputs, _ in self._wired:
            first.setdefault(id(part), map_tree(values.__getitem__, inputs))
        return [first[id(part)] for part in self.layers]

    def _calls(self, in_shape: Any) -> Iterator[tuple[str, Layer, Any]]:
        values = self._value_shapes(in_shape)
        names = {id(part): name for name, part in self._parts.items()}
        for part, inputs, _ in self._wired:
            yield names[id(part)], part, map_tree(values.__getitem__, inputs)

    def _build(self, in_shape: Any, dtype: np.dtype[Any]) -> None:
        values = list(entries(self._declared))
        for part, inputs, _ in self._wired:
            shapes = map_tree(values.__getitem__, inputs)
            self._build_part(part, shapes, dtype)
            values += entries(part.out_shape(shapes))
        self.out_shape(in_shape)

    def check_training(self, shape: Any) -> None:
        (n, *_), *_ = entries(shape)
        values = self._value_shapes(map_shapes(lambda s: s[1:], shape))
        for part, inputs, _ in self._wired:
            part.check_training(map_tree(lambda v: (n, *values[v]), inputs))

    def _check_samples(self, x: Tree) -> None:
        if len(next(iter(leaves(x)))) == 1:
            self._check_one(x)

    def _check_one(self, x: Tree) -> None:
        known = self._trains_on_one == _parameter.structure.number
        self.check_shape(x)
        same = sample_shapes(x) == self.in_shape
        if known and same:
            return
        self.check_training(map_tree(shape_of, x))
        if same:
            vars(self)["_trains_on_one"] = _parameter.structure.number

    # Settings

    def _set(self, name: str, value: Any) -> None:
        if name in ("inputs", "outputs", "calls"):
            raise AttributeError(
                f"{self.label}.{name} cannot change: make another Graph(inputs, outputs) of the "
                "same layers, which shares their weights"
            )
        if name == "layers" and isinstance(value, (tuple, list)):
            for old, new in zip(self.layers, value, strict=False):
                if width_of(old) != width_of(new):
                    raise ValueError(
                        f"{self.label} has a wiring for {width_of(old)} outputs of {old.label}, "
                        f"got {new!r} with {width_of(new)}"
                    )
        super()._set(name, value)

    # Running

    def _planned(self) -> Plan:
        """Return how the calls run; computed again when a layer has changed."""
        plan: Plan | None = self._plan
        version = _parameter.structure.number
        if plan is None or plan.version != version:
            numbers = list(leaves(self.outputs))
            wiring = Wiring(self._wired, self._inputs, numbers)
            plan = plan_of(version, wiring)
            vars(self)["_plan"] = plan
        return plan

    def _begin(self, x: Tree) -> tuple[list[Run], list[Any]]:
        """Return what runs, and the list of all values, with the inputs at their places."""
        self.check_shape(x)
        plan = self._planned()  # once: another thread may make another
        spare = [None] * plan.spare
        return plan.forward, [x, *spare] if self._one else [*leaves(x), *spare]

    def _forward(self, x: Tree, training: bool) -> tuple[Tree, Any]:
        runs, values = self._begin(x)
        caches: list[Any] = [None] * len(self._wired)
        for inputs, several, residual, links, output, width, dead in runs:
            x = map_tree(values.__getitem__, inputs) if several else values[inputs]
            for call, part, end, relu in links:
                if residual >= 0:
                    end, residual = end._replace(residual=values[residual]), -1
                if call < 0:
                    x = add_arrays(x, end.residual, end.relu)  # type: ignore[arg-type]
                elif end is PLAIN:
                    x, caches[call] = part._forward(x, training)
                else:
                    x, caches[call] = part._forward(x, training, end)
                if relu >= 0:
                    caches[relu] = x
            values[output : output + width] = [x] if width == 1 else leaves(x)
            for number in dead:
                values[number] = None
        y = map_tree(values.__getitem__, self.outputs)
        return y, Cache(caches, None if type(y) is np.ndarray else map_tree(shape_of, y))

    def _infer(self, x: Tree, end: Epilogue = PLAIN) -> Tree:
        runs, values = self._begin(x)
        for inputs, several, residual, links, output, width, dead in runs:
            x = map_tree(values.__getitem__, inputs) if several else values[inputs]
            for call, part, given, _ in links:
                if residual >= 0:
                    given, residual = given._replace(residual=values[residual]), -1
                if call < 0:
                    x = add_arrays(x, given.residual, given.relu)  # type: ignore[arg-type]
                elif given is PLAIN:
                    x = part._infer(x)
                else:
                    x = part._infer(x, given)
            values[output : output + width] = [x] if width == 1 else leaves(x)
            for number in dead:
                values[number] = None
        return map_tree(values.__getitem__, self.outputs)

    def _backward(self, dy: Tree, cache: Any, need_dx: bool) -> Tree | None:
        plan, caches = self._planned(), cache.calls
        sums: list[Any] = [None] * (self._inputs + plan.spare)
        if cache.shapes is None:
            sums[self.outputs] = dy
        else:
            self._add_outputs(dy, cache.shapes, sums)
        for links, several, outputs, inputs, residual in plan.backward(need_dx):
            if several or not links:
                self._back(links, outputs, inputs, sums, caches)
                continue
            dx, sums[outputs[0]] = sums[outputs[0]], None
            number, how, relu = inputs[0]
            if residual:
                end = links[-1].end._replace(residual=sums[number])
                links = [*links[:-1], links[-1]._replace(end=end)]
            for call, part, is_relu, needed, end in links:
                kept = physical(caches[call]) if is_relu else caches[call]
                if end is PLAIN:
                    dx = part._backward(dx, kept, needed)
                else:
                    dx = part._backward(dx, kept, needed, end)
            if number >= 0:
                meet(sums, number, how, dx, caches[relu])
        if not need_dx:
            return None
        return sums[0] if self._one else map_tree(sums.__getitem__, numbered(self.inputs))

    def _add_outputs(self, dy: Tree, shapes: Any, sums: list[Any]) -> None:
        """Put the gradients of several outputs at their places."""
        for number, leaf, shape in zip(
            leaves(self.outputs), leaves(dy), leaves(shapes), strict=True
        ):
            if leaf is None:  # nothing outside depends on this output
                leaf = np.zeros(shape, self.built_dtype)
            meet(sums, number, FIRST if sums[number] is None else SUM, leaf)

    def _back(
        self,
        links: list[BackLink],
        outputs: list[int],
        inputs: list[tuple[int, int, int]],
        sums: list[Any],
        caches: list[Any],
    ) -> None:
        """Take a step of backward through a sum, or a layer of several inputs or outputs."""
        given = [sums[number] for number in outputs]
        for number in outputs:
            sums[number] = None
        dx: Any = given * len(inputs)
        for call, part, _, needed, _ in links:
            dy = numbered(part.outputs, given) if isinstance(part, Graph) else given[0]
            dx = part._backward(dy, caches[call], needed)
        for (number, how, relu), gradient in zip(inputs, leaves(dx), strict=False):
            if number >= 0:
                meet(sums, number, how, gradient, caches[relu])


def meet(sums: list[Any], number: int, how: int, dx: Array, relu: Any = None) -> None:
    """Add a gradient to the sum so far of the gradients of a value."""
    if how in (FIRST, FUSED):
        sums[number] = dx
    else:
        sums[number] = add_arrays(dx, sums[number], drelu=relu if how == SUM_DRELU else None)


def numbered(tree: Tree, entries: Sequence[Any] | None = None) -> Tree:
    """Return a tree like another, with entries in order; by default 0, 1, ..."""
    values = itertools.count() if entries is None else iter(entries)
    return map_tree(lambda _: next(values), tree)


def width_of(layer: Any) -> int:
    """Return the number of outputs of a layer."""
    return count(layer.outputs) if isinstance(layer, Graph) else 1


def count(tree: Tree) -> int:
    """Return the number of leaves of a tree."""
    return len(tree) if isinstance(tree, (tuple, dict)) else 1


def check_wiring(graph: Graph) -> list[Called]:
    """Return the calls of a graph with their layers; raise if numbers are wrong, as in a file."""
    layers, calls = graph.layers, graph.calls
    known = count(graph.inputs)
    wired: list[Called] = []
    used: set[int] = set()

    def value(number: Any) -> int:
        used.add(whole(number, "the number of a value", 0, known - 1))
        return int(number)

    for entry in calls:
        if not isinstance(entry, (tuple, list)) or len(entry) != 2:
            raise TypeError(f"a call must be (layer, values), got {shown(entry)}")
        part = layers[whole(entry[0], "the number of a layer", 0, len(layers) - 1)]
        width = width_of(part)
        inputs = map_tree(value, entry[1])
        wired.append(Called(part, inputs, list(range(known, known + width))))
        known += width
    graph.outputs = map_tree(value, graph.outputs)
    graph.calls = tuple((layers.index(c.part), c.inputs) for c in wired)
    idle = [c.part.label for c in wired if used.isdisjoint(c.outputs)]
    idle += [part.label for part in layers if not any(c.part is part for c in wired)]
    if idle:
        raise ValueError(f"no output of Graph depends on {', '.join(idle)}")
    for number, tensor in enumerate(leaves(graph.inputs)):
        if number not in used:
            raise ValueError(f"no output of Graph depends on its input {tensor!r}")
    return wired
