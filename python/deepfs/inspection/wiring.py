"""What the layers of a `Graph` take, in words, for the summary."""

from __future__ import annotations

from collections.abc import Iterator

from .._trees import leaves
from ..layers import Container, Graph, Layer


def source_lines(network: Layer) -> list[str]:
    """Return a line for each call in a graph that takes more or other than the call before it.

    Examples
    --------
    >>> from deepfs import layers as L
    >>> x = L.Input((4,), name="x")
    >>> h = L.Dense(4)(x)
    >>> source_lines(L.Graph(x, L.Tanh()(h) + x))
    ['add_1 takes tanh_1, x']
    """
    return [line for name, graph in graphs_in(network, "", set()) for line in lines_of(name, graph)]


def graphs_in(layer: Layer, name: str, seen: set[int]) -> Iterator[tuple[str, Graph]]:
    """Yield the graphs in a network, each once."""
    if isinstance(layer, Container) and id(layer) not in seen:
        seen.add(id(layer))
        if isinstance(layer, Graph):
            yield name, layer
        for part_name, part in layer.named_parts().items():
            yield from graphs_in(part, f"{name}.{part_name}".lstrip("."), seen)


def lines_of(name: str, graph: Graph) -> Iterator[str]:
    """Yield the lines of one graph."""
    values = value_names(graph)
    before = list(values) if len(values) == 1 else []  # what the next call is expected to take
    for (number, inputs), call in zip(graph.calls, graph._wired, strict=True):
        takes = [values[value] for value in leaves(inputs)]
        part = list(graph.named_parts())[number]
        if takes != before:
            yield f"{name}.{part} takes {', '.join(takes)}".lstrip(".")
        before = output_names(part, call.part)
        values += before
    returned = [values[value] for value in leaves(graph.outputs)]
    if isinstance(graph.outputs, dict):
        returned = [f"{key} = {value}" for key, value in zip(graph.outputs, returned, strict=True)]
    if len(returned) > 1 or returned != before:
        yield f"{name or 'the network'} returns {', '.join(returned)}"


def value_names(graph: Graph) -> list[str]:
    """Return what the inputs of a graph are called."""
    tensors = list(leaves(graph.inputs))
    keys = list(graph.inputs) if isinstance(graph.inputs, dict) else [t.name for t in tensors]
    plain = ["input"] if len(tensors) == 1 else [f"input {i}" for i in range(1, len(tensors) + 1)]
    return [key or other for key, other in zip(keys, plain, strict=True)]


def output_names(name: str, part: Layer) -> list[str]:
    """Return what the outputs of a part are called."""
    if not isinstance(part, Graph) or isinstance(part.outputs, int):
        return [name]
    keys = part.outputs if isinstance(part.outputs, dict) else range(1, len(part.outputs) + 1)
    return [f"{name}'s {key}" for key in keys]
