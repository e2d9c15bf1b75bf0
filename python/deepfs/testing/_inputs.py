"""Inputs for `check_layer`: some of its own, and large ones that fill several blocks of work."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._arrays import Array, Shape
from .._trees import Tree, leaves, map_tree
from ..layers import Layer

# shapes of a batch to try, by the number of axes; no two sizes of one shape are equal, so that
# exchanged axes are seen
SHAPES: dict[int, tuple[Shape, ...]] = {
    2: ((6, 5), (5, 12)),
    3: ((3, 4, 9), (3, 6, 16)),
    4: ((3, 4, 7, 6), (2, 3, 8, 10), (2, 12, 16, 18)),
}
LARGE = 8704  # entries that a large input has at least: two blocks of 4096, and a part of one
MAX_WORK = 4_000_000  # multiply-adds of a pass over a large input, by `Layer.multiply_adds`


def as_float64(x: Any) -> Tree:
    """Return copies of the arrays of an input, in float64."""
    if not isinstance(x, (dict, tuple)):
        return np.array(x, np.float64)
    return map_tree(lambda a: np.array(a, np.float64), x)


def own_inputs(layer: Layer, seed: int) -> list[Array]:
    """Return an input for each number of axes that a layer takes.

    Raises
    ------
    ValueError
        If it takes none of the shapes that are tried.
    """
    ranks = layer.input_rank or tuple(SHAPES)
    tried = {rank: SHAPES.get(rank, ()) for rank in ranks}
    if layer.in_shape is not None and isinstance(layer.in_shape, tuple):
        tried = {len(layer.in_shape) + 1: ((5, *layer.in_shape),)}
    found: list[Array] = []
    refused = ""
    for shapes in tried.values():
        for shape in shapes:
            try:
                layer.out_shape(shape[1:])
            except ValueError as error:
                refused = f": {error}"
                continue
            found.append(np.random.default_rng(seed).standard_normal(shape))
            break
    if not found:
        raise ValueError(
            f"check_layer needs x, a batch that {layer.label} takes: it refused all of "
            f"{[shape for shapes in tried.values() for shape in shapes]}{refused}"
        )
    return found


def large_input(layer: Layer, x: Tree, seed: int) -> Tree | None:
    """Return an odd number of samples like those of ``x``: several blocks of work, and a remainder.

    They are the samples of ``x`` in turn, each number times 0.5 to 1, so that signs and zeros stay.
    None if ``x`` is as large already, or a pass would take long.
    """
    size = max(array.size for array in leaves(x))
    n = len(next(leaves(x)))
    wanted = -(-LARGE * n // max(size, 1)) | 1
    work = layer.multiply_adds(layer.in_shape) if isinstance(layer.in_shape, tuple) else 0
    if work:
        wanted = min(wanted, MAX_WORK // work | 1)
    if wanted <= n:
        return None
    rng = np.random.default_rng(seed)
    rows = np.arange(wanted) % n
    return map_tree(lambda a: a[rows] * rng.uniform(0.5, 1, (wanted, *a.shape[1:])), x)
