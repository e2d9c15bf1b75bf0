"""The table of `Model.summary`."""

from __future__ import annotations

from .._arrays import Shape
from ..layers import Container, Layer
from ..layers._container import walk

HEAD = ("layer", "kind", "output", "algorithm", "parameters")


def print_summary(network: Layer, in_shape: Shape | None = None) -> None:
    """Print a row per layer; see `deepfs.Model.summary`."""
    if network.built_dtype is None:
        if in_shape is None:
            raise RuntimeError(
                "Model.summary needs in_shape, such as (1, 28, 28), before the first data"
            )
        network.build(tuple(in_shape))
    rows = [HEAD, *(row_of(*found) for found in walk(network, "", network.in_shape or ()))]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for *cells, last in rows:
        padded = [f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=False)]
        print("  ".join([*padded, f"{last:>{widths[-1]}}"]).rstrip())
    each_once = {id(p): p.storage.size for p in network.parameters().values()}
    print(f"{sum(each_once.values()):,} parameters, {network.built_dtype}")


def row_of(name: str, layer: Layer, in_shape: Shape) -> tuple[str, ...]:
    """Return the cells of a layer; a container's parameters are listed for its parts."""
    shape = str(("n", *layer.out_shape(in_shape))).replace("'", "")
    if isinstance(layer, Container):
        return name, type(layer).__name__, shape, "", ""
    count = sum(p.storage.size for p in layer.parameters().values())
    algorithm = layer.algorithm_for(in_shape)
    return name, type(layer).__name__, shape, algorithm, f"{count:,}" if count else "-"
