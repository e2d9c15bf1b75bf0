"""The layers of a network as rows: shapes, parameters, work and memory of a sample."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from ._arrays import Shape
from ._html import preformatted, table_html
from ._trees import is_shape, leaves, map_shapes

WIDTH = 100  # of a printed table
NARROW = 24  # of a column that could be longer
HEAD = ("layer", "kind", "output", "algorithm", "params", "MACs", "memory")


@dataclass(frozen=True)
class LayerRow:
    """A layer in its place in a network.

    Attributes
    ----------
    name, kind, algorithm : str
        Name, class, and algorithm of the forward pass, "-" if there is no choice.
    output : str
        Shape of the output, ``(n, 8)``; several are listed.
    container, shared : bool
        True for a layer made of layers, whose numbers are in the rows of its parts; for a layer
        that has a row above already, with its parameters.
    parameters, frozen : int
        Number of learned numbers, and of those that are not trained.
    multiply_adds : int
        Of the forward pass of one sample, see `Layer.multiply_adds`.
    nbytes : int
        Bytes of the output of one sample.
    """

    name: str
    kind: str
    output: str
    algorithm: str
    container: bool
    shared: bool
    parameters: int
    frozen: int
    multiply_adds: int
    nbytes: int


def rows_of(network: Any) -> list[LayerRow]:
    """Return a row per layer of a built network, depth first, and per call in a `Graph`."""
    seen: set[int] = set()
    rows = []
    for name, layer, in_shape in places(network, "", network.in_shape or ()):
        rows.append(row_of(name, layer, in_shape, id(layer) in seen))
        seen.add(id(layer))
    return rows


def places(layer: Any, name: str, in_shape: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield name, layer and input shape wherever a layer runs, depth first."""
    if not getattr(layer, "transparent", False):
        yield name, layer, in_shape
    for part_name, part, part_shape in layer._calls(in_shape) if is_container(layer) else ():
        yield from places(part, f"{name}.{part_name}".lstrip("."), part_shape)


def is_container(layer: Any) -> bool:
    """Return whether a layer is made of layers; `Container` itself imports this file."""
    return hasattr(layer, "named_parts")


def row_of(name: str, layer: Any, in_shape: Any, shared: bool) -> LayerRow:
    """Return the row of a layer for inputs of this shape."""
    outputs = layer.out_shape(in_shape)
    container = is_container(layer)
    size = sum(map(prod, shapes_in(outputs)))
    learned = [] if container or shared else list(layer.parameters().values())
    return LayerRow(
        name=name or type(layer).__name__.lower(),  # a network of one layer has no name
        kind=type(layer).__name__,
        output=shape_text(outputs),
        algorithm="" if container else layer.algorithm_for(in_shape),
        container=container,
        shared=shared,
        parameters=sum(p.storage.size for p in learned),
        frozen=sum(p.storage.size for p in learned if p._frozen),
        multiply_adds=0 if container else layer.multiply_adds(in_shape),
        nbytes=size * (layer.built_dtype.itemsize if layer.built_dtype else 4),
    )


def shapes_in(outputs: Any) -> list[Shape]:
    """Return the shapes in a tree of them."""
    return [outputs] if is_shape(outputs) else list(leaves(outputs))


def shape_text(outputs: Any) -> str:
    """Return ``(n, 8)``, or ``a (n, 8), b (n, 3)`` for several outputs."""
    texts = map_shapes(lambda shape: str(("n", *shape)).replace("'n'", "n"), outputs)
    if isinstance(texts, dict):
        return ", ".join(f"{name} {text}" for name, text in texts.items())
    return texts if isinstance(texts, str) else ", ".join(texts)


def cells_of(row: LayerRow) -> tuple[str, ...]:
    """Return the cells of the printed table, in the order of `HEAD`."""
    start = (row.name, row.kind, row.output, row.algorithm)
    if row.container:
        return (*start, "shared" if row.shared else "", "", "")
    count = "shared" if row.shared else f"{row.parameters:,}" if row.parameters else "-"
    work = with_prefix(row.multiply_adds) if row.multiply_adds else "-"
    return (*start, count, work, size_text(row.nbytes))


def totals(network: Any, rows: Sequence[LayerRow]) -> list[str]:
    """Return the lines below the table."""
    learned = {id(p): p for p in network.parameters().values()}.values()  # each once
    count, nbytes = sum(p.storage.size for p in learned), sum(p.storage.nbytes for p in learned)
    frozen = sum(p.storage.size for p in learned if p._frozen)
    stands = f", {frozen:,} of them frozen" if frozen else ""
    parts = [row for row in rows if not row.container]
    work, held = (sum(getattr(row, key) for row in parts) for key in ("multiply_adds", "nbytes"))
    lines = [
        f"{count:,} parameters, {network.built_dtype}, {size_text(nbytes)}{stands}",
        f"for each sample {with_prefix(work)} multiply-adds (MACs), outputs of {size_text(held)}",
    ]
    if any(row.shared for row in rows):
        lines.append("shared: the layer has a row above; its parameters count once")
    return lines


def with_prefix(number: float, unit: str = "") -> str:
    """Return a number with three digits and a prefix: ``1.23M``, ``123``, ``12.3 kB``."""
    for power, prefix in ((12, "T"), (9, "G"), (6, "M"), (3, "k")):
        if number >= 0.9995 * 10**power:
            scaled = number / 10**power
            digits = 2 if scaled < 9.995 else 1 if scaled < 99.95 else 0
            return f"{scaled:.{digits}f}{' ' if unit else ''}{prefix}{unit}"
    return f"{number:.0f} {unit}".rstrip()


def size_text(nbytes: int) -> str:
    """Return a number of bytes as ``12.3 kB``."""
    return with_prefix(nbytes, "B")


def text_of(network: Any) -> str:
    """Return the table of a built network, at most 100 columns wide."""
    rows = rows_of(network)
    cells = [HEAD, *map(cells_of, rows)]
    cells = [(name, *(clipped(cell, NARROW) for cell in rest)) for name, *rest in cells]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    widths[0] = min(widths[0], WIDTH - sum(widths[1:]) - 2 * (len(HEAD) - 1))
    lines = []
    for name, *rest in cells:
        shown = name if len(name) <= widths[0] else f"..{name[2 - widths[0] :]}"  # its end tells
        texts = [f"{cell:<{width}}" for cell, width in zip(rest[:3], widths[1:4], strict=True)]
        numbers = [f"{cell:>{width}}" for cell, width in zip(rest[3:], widths[4:], strict=True)]
        lines.append("  ".join([f"{shown:<{widths[0]}}", *texts, *numbers]).rstrip())
    return "\n".join([*lines, *totals(network, rows)])


def clipped(text: str, width: int) -> str:
    """Return a text of at most this width."""
    return text if len(text) <= width else f"{text[: width - 2]}.."


def html_of(network: Any) -> str:
    """Return the table of a built network for notebooks; of another network, its settings."""
    if network.built_dtype is None:
        return preformatted(repr(network))
    rows = rows_of(network)
    faint = [row.shared or row.container for row in rows]
    return table_html(HEAD, [*map(cells_of, rows)], totals(network, rows), texts=4, faint=faint)
