"""A network as a table: what `Model.summary` prints."""

from __future__ import annotations

from collections.abc import Iterator

from .layers import Layer
from .layers._base import Shape
from .layers.combine import Container, Sequential

HEAD = ("layer", "kind", "output", "algorithm", "parameters")


def print_summary(network: Layer, in_shape: Shape | None = None) -> None:
    """Print a row per layer; see `deepfs.Model.summary`."""
    if network.built_dtype is None:
        if in_shape is None:
            raise RuntimeError(
                "Model.summary needs in_shape, such as (1, 28, 28), before the first data"
            )
        network.build(tuple(in_shape))
    places = walk(network, "", network.in_shape or ())
    rows = [HEAD, *(row_of(*place) for place in places)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for *cells, last in rows:
        padded = [f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=False)]
        print("  ".join([*padded, f"{last:>{widths[-1]}}"]).rstrip())
    each_once = {id(p): p.memory.size for p in network.parameters().values()}
    print(f"{sum(each_once.values()):,} parameters, {network.built_dtype}")


def walk(layer: Layer, name: str, in_shape: Shape) -> Iterator[tuple[str, Layer, Shape]]:
    """Yield name, layer and input shape, parts below the container they belong to.

    A Sequential does nothing itself, and is only seen in the names of its parts.
    """
    if not isinstance(layer, Sequential):
        yield name, layer, in_shape
    if isinstance(layer, Container):
        for part_name, part in layer.named_parts().items():
            yield from walk(part, f"{name}.{part_name}".lstrip("."), in_shape)
            if isinstance(layer, Sequential):
                in_shape = part.out_shape(in_shape)


def row_of(name: str, layer: Layer, in_shape: Shape) -> tuple[str, ...]:
    """Return the cells of a layer; a container leaves to its parts what they have."""
    shape = str(("n", *layer.out_shape(in_shape))).replace("'", "")
    if isinstance(layer, Container):
        return name, type(layer).__name__, shape, "", ""
    count = sum(p.memory.size for p in layer.parameters().values())
    algorithm = layer.algorithm_for(in_shape)
    return name, type(layer).__name__, shape, algorithm, f"{count:,}" if count else "-"
