"""Outputs of inner layers. See `Model.outputs_of`.

A copy of the network runs, which shares the arrays of the network. Nothing is fused in it, because
a layer that does its neighbour's work has no output of its own.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from .._names import hint
from .._trees import Tree
from ..layers import Container, Layer


class Watched:
    """A copy of a built network that notes what some of its layers return.

    Parameters
    ----------
    network : Layer
        The network. It does not change.
    names : sequence of str
        Names of layers and containers in it, as in the summary.
    """

    def __init__(self, network: Layer, names: list[str]) -> None:
        arrays = [*network.parameters().values(), *network.buffers().values()]
        self.network = copy.deepcopy(network, {id(array): array for array in arrays})
        parts = parts_of(self.network)
        self.seen: dict[str, list[Tree]] = {}
        for part in parts.values():
            vars(part)["fuses_forward"] = frozenset()
        watched: dict[int, list[Tree]] = {}
        for name in names:
            if not isinstance(name, str):
                raise TypeError(f"the name of a layer must be a str, got {name!r}")
            if name not in parts:
                has = hint(name, parts) or f": it has {', '.join(parts) or 'no parts'}"
                raise KeyError(f"the network has no layer {name!r}{has}")
            part = parts[name]
            if id(part) not in watched:
                watched[id(part)] = []
                watch(part, watched[id(part)])
            self.seen[name] = watched[id(part)]

    def __call__(self, x: Tree) -> dict[str, Tree]:
        """Return the outputs for a batch; of a layer that is called several times, a tuple."""
        for outputs in self.seen.values():
            outputs.clear()
        self.network(x)
        for name, outputs in self.seen.items():
            if not outputs:
                raise RuntimeError(f"the layer {name!r} does not run in inference mode")
        return {
            name: outputs[0] if len(outputs) == 1 else tuple(outputs)
            for name, outputs in self.seen.items()
        }


def parts_of(layer: Layer, name: str = "") -> dict[str, Layer]:
    """Return all parts of a layer by name, containers too."""
    found: dict[str, Layer] = {}
    if isinstance(layer, Container):
        for part_name, part in layer.named_parts().items():
            inner = f"{name}.{part_name}".lstrip(".")
            found |= {inner: part} | parts_of(part, inner)
    return found


def watch(layer: Layer, outputs: list[Tree]) -> None:
    """Let a layer append to a list what it returns."""
    infer, forward = layer._infer, layer._forward
    running: list[bool] = []

    def watched(run: Any, output: Any, *args: Any) -> Any:
        if running:  # `_infer` of a layer may call its `_forward`
            return run(*args)
        running.append(True)
        try:
            result = run(*args)
        finally:
            running.clear()
        outputs.append(output(result))
        return result

    vars(layer).update(
        _infer=lambda *args: watched(infer, lambda y: y, *args),
        _forward=lambda *args: watched(forward, lambda result: result[0], *args),
    )


def joined(batches: list[Any]) -> Any:
    """Return outputs of batches as those of all samples: arrays, or dicts and tuples of them."""
    first = batches[0]
    if isinstance(first, dict):
        return {name: joined([batch[name] for batch in batches]) for name in first}
    if isinstance(first, tuple):
        return tuple(map(joined, map(list, zip(*batches, strict=True))))
    return np.concatenate(batches)
