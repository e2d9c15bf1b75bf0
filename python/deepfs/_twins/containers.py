"""Twins of layers made of layers, and of layers of several inputs.

The functions of `deepfs.reference` take functions in the place of parts; these call the parts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import reference
from .._arrays import Array
from .._trees import Tree, leaves, map_tree
from ..layers._base import Layer
from ..layers.checkpoint import buffers_as
from ..layers.sequential import lowest
from .plain import Twin


def forward_of(part: Layer, training: bool, caches: list[Any]) -> Callable[[Any], Any]:
    """Return a part as a function of x, which appends the cache of the part to a list."""

    def run(x: Any) -> Any:
        y, cache = part._forward(x, training)
        caches.append(cache)
        return y

    return run


def backward_of(part: Layer, cache: Any, need_dx: bool = True) -> Callable[[Any], Any]:
    """Return the backward pass of a part as a function of dy."""
    return lambda dy: part._backward(dy, cache, need_dx)


class Sequential(Twin):
    """Of `deepfs.layers.Sequential`; nothing is fused."""

    def forward(self, layer: Any, x: Array, training: bool) -> tuple[Array, Any]:
        caches: list[Any] = []
        parts = [forward_of(part, training, caches) for part in layer.layers]
        return reference.sequential(x, parts), caches

    def backward(self, layer: Any, dy: Array, kept: Any, need_dx: bool) -> Array | None:
        first = 0 if need_dx else lowest(layer._planned())  # no part before it learns
        parts = [
            backward_of(layer.layers[i], kept[i], need_dx or i > first)
            for i in range(first, len(kept))
        ]
        dx = reference.sequential_backward(dy, parts)
        return dx if need_dx else None


class Residual(Twin):
    """Of `deepfs.layers.Residual`."""

    def forward(self, layer: Any, x: Array, training: bool) -> tuple[Array, Any]:
        caches: list[Any] = []
        parts = [forward_of(part, training, caches) for part in layer.named_parts().values()]
        return reference.residual(x, *parts), caches

    def backward(self, layer: Any, dy: Array, kept: Any, need_dx: bool) -> Array | None:
        parts = [
            backward_of(part, cache, need_dx)
            for part, cache in zip(layer.named_parts().values(), kept, strict=True)
        ]
        if need_dx:
            return reference.residual_backward(dy, *parts)
        for part in parts:
            part(dy)
        return None


class Branches(Twin):
    """Of `deepfs.layers.Branches`."""

    def forward(self, layer: Any, x: Array, training: bool) -> tuple[Array, Any]:
        caches: list[Any] = []
        parts = [forward_of(part, training, caches) for part in layer.parts]
        channels = [part.out_shape(x.shape[1:])[0] for part in layer.parts]
        return reference.branches(x, parts, layer.merge), (caches, channels)

    def backward(self, layer: Any, dy: Array, kept: Any, need_dx: bool) -> Array | None:
        caches, channels = kept
        parts = [backward_of(part, cache) for part, cache in zip(layer.parts, caches, strict=True)]
        if need_dx:
            return reference.branches_backward(dy, parts, channels, layer.merge)
        ends = np.cumsum(channels)[:-1]
        shares = np.split(dy, ends, 1) if layer.merge == "concat" else [dy] * len(parts)
        for part, cache, share in zip(layer.parts, caches, shares, strict=True):
            part._backward(share, cache, False)
        return None


class Checkpoint(Twin):
    """Of `deepfs.layers.Checkpoint`."""

    def forward(self, layer: Any, x: Array, training: bool) -> tuple[Array, Any]:
        before = [buffer.copy() for buffer in layer.body.buffers().values()]
        y = reference.checkpoint(x, lambda x: layer.body._forward(x, training))
        return y, (x, training, before)

    def backward(self, layer: Any, dy: Array, kept: Any, need_dx: bool) -> Array | None:
        x, training, before = kept

        def again(x: Array) -> tuple[Array, Any]:
            with buffers_as(layer.body, before):
                made: tuple[Array, Any] = layer.body._forward(x, training)
                return made

        return reference.checkpoint_backward(
            dy, x, again, lambda dy, cache: layer.body._backward(dy, cache, need_dx)
        )


class Graph(Twin):
    """Of `deepfs.layers.Graph`, whose parts have one output each; nothing is fused."""

    def forward(self, layer: Any, x: Tree, training: bool) -> tuple[Tree, Any]:
        caches: list[Any] = []
        calls = []
        for part, inputs, _ in layer._wired:

            def run(*arrays: Any, part: Layer = part, inputs: Tree = inputs) -> Any:
                values = iter(arrays)
                y, cache = part._forward(map_tree(lambda _: next(values), inputs), training)
                caches.append(cache)
                return y

            calls.append((run, list(leaves(inputs))))
        given = list(leaves(x))
        outputs = reference.graph(given, calls, list(leaves(layer.outputs)))
        rest = iter(outputs)
        shapes = [(array.shape, array.dtype) for array in outputs]
        return map_tree(lambda _: next(rest), layer.outputs), (caches, shapes)

    def backward(self, layer: Any, dy: Tree, kept: Any, need_dx: bool) -> Tree | None:
        caches, shapes = kept
        count = sum(1 for _ in leaves(layer.inputs))
        learns = [need_dx] * count  # whether the gradient of a value is needed
        calls = []
        for (part, inputs, _), cache in zip(layer._wired, caches, strict=True):
            takes = list(leaves(inputs))
            needed = any(learns[number] for number in takes)
            own = any(not parameter._frozen for parameter in part.parameters().values())
            learns.append(needed or own)
            calls.append((self.call(part, cache, len(takes), needed, learns[-1]), takes))
        douts = [
            np.zeros(*shape) if leaf is None else leaf
            for leaf, shape in zip(leaves(dy), shapes, strict=True)
        ]
        found = iter(reference.graph_backward(douts, count, calls, list(leaves(layer.outputs))))
        return map_tree(lambda _: next(found), layer.inputs) if need_dx else None

    @staticmethod
    def call(part: Layer, cache: Any, takes: int, needed: bool, runs: bool) -> Callable[..., Any]:
        """Return the backward pass of a call: from dy to the gradients of what it takes."""

        def back(dy: Any) -> list[Any]:
            dx = part._backward(dy, cache, needed) if runs else None
            return [0.0] * takes if dx is None else list(leaves(dx))

        return back


class Merge(Twin):
    """Of a layer of several inputs: y = f(arrays), [dx, ...] = df(dy, arrays)."""

    def __init__(self, f: Callable[..., Array], df: Callable[..., list[Array]]) -> None:
        self.f, self.df = f, df

    def forward(self, layer: Any, x: Tree, training: bool) -> tuple[Array, Any]:
        return self.f(list(x), layer), list(x)

    def backward(self, layer: Any, dy: Array, kept: Any, need_dx: bool) -> Tree | None:
        return tuple(self.df(dy, kept, layer)) if need_dx else None


ADD = Merge(
    lambda arrays, layer: reference.add(arrays),
    lambda dy, arrays, layer: reference.add_backward(dy, len(arrays)),
)
SUBTRACT = Merge(
    lambda arrays, layer: reference.subtract(arrays),
    lambda dy, arrays, layer: reference.subtract_backward(dy),
)
MULTIPLY = Merge(
    lambda arrays, layer: reference.multiply(arrays),
    lambda dy, arrays, layer: reference.multiply_backward(dy, arrays),
)
CONCAT = Merge(
    lambda arrays, layer: reference.concat(arrays, layer.axis),
    lambda dy, arrays, layer: reference.concat_backward(
        dy, [array.shape[layer.axis] for array in arrays], layer.axis
    ),
)
