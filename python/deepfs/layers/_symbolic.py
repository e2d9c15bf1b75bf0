"""Symbolic tensors: what layers are called on to describe a `Graph`.

`Input` makes one; a layer called on it returns another, which remembers the call. Nothing is
computed, but the shapes are checked. `wired` lists the calls between inputs and outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any, ClassVar, NoReturn, Protocol

from .._arrays import Shape
from .._check import shape as checked_shape
from .._check import shown
from .._trees import Tree, is_shape, leaves, map_shapes, map_tree

_numbers = count()


class Callee(Protocol):
    """What is called on symbolic tensors: a layer."""

    @property
    def label(self) -> str:
        """Its name in messages."""

    def out_shape(self, in_shape: Any) -> Any:
        """Return the shape of the output, or a tree of shapes."""


class Call:
    """A layer called on symbolic tensors. Calls are numbered in the order in which they happen."""

    __slots__ = ("inputs", "layer", "number", "outputs")

    def __init__(self, layer: Callee, inputs: Tree) -> None:
        self.layer, self.inputs, self.outputs = layer, inputs, 0
        self.number = next(_numbers)


class Tensor:
    """A symbolic tensor: a shape without the batch axis, and the call that gives it, if any."""

    __slots__ = ("call", "index", "name", "shape")
    __array_ufunc__ = None  # an array + a tensor is an error
    merging: ClassVar[dict[str, Callable[[], Any]]] = {}  # layers behind + - *

    def __init__(
        self, shape: Shape, name: str | None = None, call: Call | None = None, index: int = 0
    ) -> None:
        self.shape, self.name, self.call, self.index = shape, name, call, index

    def __array__(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError("a symbolic tensor has no numbers: make a Graph, and call that on arrays")

    def __add__(self, other: Any) -> Any:
        return self._merged("+", other)

    def __sub__(self, other: Any) -> Any:
        return self._merged("-", other)

    def __mul__(self, other: Any) -> Any:
        return self._merged("*", other)

    __radd__, __rsub__, __rmul__ = __add__, __sub__, __mul__  # only of what is no tensor

    def _merged(self, sign: str, other: Any) -> Any:
        if not isinstance(other, Tensor):
            raise TypeError(f"{sign} takes two symbolic tensors, got {shown(other)} for one")
        return self.merging[sign]()((self, other))

    def __repr__(self) -> str:
        if self.call is not None:
            return f"<symbolic tensor {self.shape} of {self.call.layer.label}>"
        return f"Input({self.shape}" + (f", name={self.name!r})" if self.name else ")")


def Input(shape: Shape, name: str | None = None) -> Any:  # noqa: N802 a name of Keras
    """Return a symbolic tensor, an input of a `Graph`.

    Parameters
    ----------
    shape : tuple of int
        Shape of a sample, without the batch axis.
    name : str, optional
        Name for messages and the summary.

    Returns
    -------
    Tensor
        Call layers on it: they return further tensors. Its ``shape`` has no batch axis.

    Raises
    ------
    TypeError, ValueError
        If the shape is not a tuple of ints of at least 1, or the name is not a str.

    Notes
    -----
    Shapes: arrays ``(n, *shape)``. ``a + b``, ``a - b`` and ``a * b`` of tensors are `Add`,
    `Subtract` and `Multiply`. NumPy reference: `deepfs.reference.graph`, whose inputs are arrays.

    References
    ----------
    ``keras.Input``.

    Examples
    --------
    >>> from deepfs.layers import Conv2D, Input
    >>> x = Input((1, 28, 28))
    >>> Conv2D(8, 3)(x).shape
    (8, 26, 26)
    """
    extents = checked_shape(shape, "the shape of an Input")
    if 0 in extents:
        raise ValueError(f"the shape of an Input must have extents of at least 1, got {extents}")
    if not isinstance(name, str | None):
        raise TypeError(f"the name of an Input must be a str, got {shown(name)}")
    return Tensor(extents, name)


def is_symbolic(x: Any) -> bool:
    """Return whether there is a symbolic tensor in what a layer is called on."""
    return isinstance(x, (Tensor, tuple, list, dict)) and any(
        isinstance(leaf, Tensor) for leaf in leaves(x)
    )


def record(layer: Callee, x: Tree) -> Tree:
    """Return the symbolic output of a layer; raise ValueError if shapes do not fit."""
    for leaf in leaves(x):
        if not isinstance(leaf, Tensor):
            raise TypeError(
                f"{layer.label} takes symbolic tensors or arrays, not both, got {shown(leaf)}"
            )
    if isinstance(x, (tuple, list)):
        x = x[0] if len(x) == 1 else tuple(x)
    call = Call(layer, x)
    indices = count()

    def output(shape: Shape) -> Tensor:
        return Tensor(shape, call=call, index=next(indices))

    outputs = map_shapes(output, layer.out_shape(map_tree(shape_of, x)))
    call.outputs = next(indices)
    return outputs


def shape_of(x: Any) -> Shape:
    """Return the shape of a symbolic tensor."""
    shape: Shape = x.shape
    return shape


def tensors_in(tree: Any, what: str) -> Tree:
    """Return inputs or outputs of a Graph as a tensor, tuple or dict; raise for anything else."""
    if isinstance(tree, (tuple, list, dict)) and not tree:
        raise ValueError(f"Graph needs at least one of its {what}, got none")
    for leaf in leaves(tree):
        if not isinstance(leaf, Tensor):
            raise TypeError(
                f"Graph takes symbolic tensors as {what}, made by Input(shape) and layers called "
                f"on it, got {shown(leaf)}"
            )
    if isinstance(tree, dict) and not all(isinstance(name, str) for name in tree):
        raise TypeError(f"Graph takes {what} named by strings, got {shown([*tree])}")
    if isinstance(tree, (tuple, list)):
        return tree[0] if len(tree) == 1 else tuple(tree)
    return tree


def wired(inputs: Tree, outputs: Tree) -> tuple[tuple[Any, ...], tuple[Any, ...], Tree]:
    """Return the layers between inputs and outputs, their calls, and the outputs as numbers.

    Values are numbered: first the inputs, then the outputs of each call, in the order in which
    the calls were made. A call is the number of its layer, and the numbers of its inputs.
    """
    given = list(leaves(inputs))
    numbers = {id(tensor): number for number, tensor in enumerate(given)}
    if len(numbers) < len(given):
        raise ValueError("Graph must have different inputs, got one of them twice")
    found: dict[int, Call] = {}
    used: set[int] = set()
    left: list[Tensor] = list(leaves(outputs))
    while left:
        tensor = left.pop()
        if id(tensor) in numbers:
            used.add(id(tensor))
        elif tensor.call is None:
            raise ValueError(
                f"an output of Graph depends on {tensor!r}, which is not among its inputs"
            )
        elif tensor.call.number not in found:
            found[tensor.call.number] = tensor.call
            left.extend(leaves(tensor.call.inputs))
    for tensor in given:
        if id(tensor) not in used:
            raise ValueError(f"no output of Graph depends on its input {tensor!r}")
    ordered = [found[number] for number in sorted(found)]
    layers: dict[int, Callee] = {}
    first: dict[int, int] = {}
    values = len(given)
    for call in ordered:
        layers.setdefault(id(call.layer), call.layer)
        first[call.number] = values
        values += call.outputs

    def number_of(tensor: Tensor) -> int:
        if tensor.call is None or id(tensor) in numbers:
            return numbers[id(tensor)]
        return first[tensor.call.number] + tensor.index

    which = {key: number for number, key in enumerate(layers)}
    calls = [(which[id(call.layer)], map_tree(number_of, call.inputs)) for call in ordered]
    return tuple(layers.values()), tuple(calls), map_tree(number_of, outputs)


def entries(shapes: Any) -> Iterator[Shape]:
    """Yield the shapes of a tree of shapes."""
    if is_shape(shapes):
        yield shapes
    else:
        yield from leaves(shapes)
