"""A network as a table: what `Model.summary` prints."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from .layers import Conv2D, Layer
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
    dtype: Any = network.built_dtype
    places = walk(network, "", network.in_shape or ())
    rows = [HEAD, *(row_of(*place, dtype) for place in places)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for *cells, last in rows:
        padded = [f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=False)]
        print("  ".join([*padded, f"{last:>{widths[-1]}}"]).rstrip())
    each_once = {id(p): p.memory.size for p in network.parameters().values()}
    print(f"{sum(each_once.values()):,} parameters, {dtype}")


def walk(layer: Layer, name: str, in_shape: Shape) -> Iterator[tuple[str, Layer, Shape]]:
    """Yield name, layer and input shape, parts below the container they belong to.

    A Sequential does nothing itself, and is only seen in the names of its parts.
    """
    if not isinstance(layer, Sequential):
        yield name, layer, in_shape
    if isinstance(layer, Container):
        for part_name, part in layer.parts().items():
            yield from walk(part, f"{name}.{part_name}".lstrip("."), in_shape)
            if isinstance(layer, Sequential):
                in_shape = part.out_shape(in_shape)


def row_of(name: str, layer: Layer, in_shape: Shape, dtype: DTypeLike) -> tuple[str, ...]:
    """Return the cells of a layer; a container leaves to its parts what they have."""
    shape = str(("n", *layer.out_shape(in_shape))).replace("'", "")
    if isinstance(layer, Container):
        return name, type(layer).__name__, shape, "", ""
    count = sum(p.memory.size for p in layer.parameters().values())
    algorithm = algorithm_of(layer, in_shape, dtype) or "-"
    return name, type(layer).__name__, shape, algorithm, f"{count:,}" if count else "-"


def algorithm_of(layer: Layer, in_shape: Shape, dtype: DTypeLike) -> str:
    """Return how a layer computes where it has a choice: "winograd", "direct", else ""."""
    if not isinstance(layer, Conv2D):
        return ""
    chosen = np.dtype(dtype) == np.float32 and layer._winograd(in_shape[0])
    return "winograd" if chosen else "direct"
