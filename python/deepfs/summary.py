"""A network as a table: what `Model.summary` prints."""

from __future__ import annotations

from collections.abc import Iterator

from .layers import Layer
from .layers._base import Shape
from .layers.combine import Container, Sequential


def print_summary(network: Layer, in_shape: Shape | None = None) -> None:
    """Print a row per layer; see `deepfs.Model.summary`."""
    if network.built_dtype is None:
        if in_shape is None:
            raise RuntimeError(
                "Model.summary needs in_shape, such as (1, 28, 28), before the first data"
            )
        network.build(tuple(in_shape))
    rows = list(rows_of(network, "", network.in_shape or ()))
    head = ("layer", "kind", "output", "parameters")
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(4)]
    for row in [head, *rows]:
        cells = [f"{cell:<{width}}" for cell, width in zip(row[:3], widths, strict=False)]
        print("  ".join([*cells, f"{row[3]:>{widths[3]}}"]))
    each_once = {id(p): p.memory.size for p in network.parameters().values()}
    print(f"{sum(each_once.values()):,} parameters, {network.built_dtype}")


def rows_of(layer: Layer, name: str, in_shape: Shape) -> Iterator[tuple[str, str, str, str]]:
    """Yield the rows of `Model.summary`: parts below the container they belong to."""
    out = layer.out_shape(in_shape)
    if isinstance(layer, Sequential):
        for part_name, part in layer.parts().items():
            yield from rows_of(part, f"{name}.{part_name}".lstrip("."), in_shape)
            in_shape = part.out_shape(in_shape)
    elif isinstance(layer, Container):
        yield name, type(layer).__name__, str(("n", *out)).replace("'", ""), ""
        for part_name, part in layer.parts().items():
            yield from rows_of(part, f"{name}.{part_name}".lstrip("."), in_shape)
    else:
        count = sum(p.memory.size for p in layer.parameters().values())
        shape = str(("n", *out)).replace("'", "")
        yield name, type(layer).__name__, shape, f"{count:,}" if count else "-"
