"""Which layers make the outputs of a network, as far as that is certain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._fields import is_built_in
from ..layers import Branches, Checkpoint, Layer, Sequential

# Layers whose outputs are some of their inputs, by name.
KEEPING = frozenset(
    ("Crop1D", "Crop2D", "Dropout", "Flatten", "Identity", "Reshape", "SpatialDropout")
)
# Layers whose outputs are largest ones or means of inputs: of probabilities, probabilities.
POOLING = frozenset(
    f"{kind}{axes}"
    for kind in ("MaxPool", "AvgPool", "GlobalAvgPool", "GlobalMaxPool", "AdaptiveAvgPool")
    for axes in ("1D", "2D")
)
# Layers with as many outputs as inputs along axis 1, besides those above and activations.
SAME_NUMBER = frozenset(
    ("BatchNorm", "DropConnect", "GaussianNoise", "GroupNorm", "InstanceNorm", "LayerNorm")
)
ACTIVATIONS = frozenset(
    (
        *("ELU", "GELU", "HardSwish", "LeakyReLU", "LogSoftmax", "PReLU", "ReLU", "SELU", "SiLU"),
        *("Clip", "Sigmoid", "Softmax", "Softplus", "Step", "Tanh"),
    )
)
COUNTED = (KEEPING - {"Flatten", "Reshape"}) | POOLING | SAME_NUMBER | ACTIVATIONS


def last_layers(network: Any, passing: frozenset[str] = KEEPING) -> list[Layer]:
    """Return the layers that surely make the outputs, without those that pass on what they get.

    An empty list: nothing is certain, as after a sum.
    """
    return _through(network, passing) or []


def _through(layer: Any, passing: frozenset[str]) -> list[Layer] | None:
    """Return the same of a part; None if it passes on what it gets."""
    if not is_built_in(type(layer)):
        return []
    if type(layer).__name__ in passing:
        return None
    if isinstance(layer, Sequential):
        for part in reversed(layer.layers):
            found = _through(part, passing)
            if found is not None:
                return found
        return None
    if isinstance(layer, Checkpoint):
        return _through(layer.body, passing)
    if isinstance(layer, Branches):
        if layer.merge != "concat":
            return []
        parts = [_through(part, passing) or [] for part in layer.parts]
        return [last for found in parts for last in found] if all(parts) else []
    if type(layer).__name__ == "Graph":
        return _of_value(layer, layer.outputs, passing)
    return [] if getattr(layer, "named_parts", None) else [layer]


def _of_value(graph: Any, number: Any, passing: frozenset[str]) -> list[Layer]:
    """Return the layers that make a value of a `Graph`, an input or what a layer returned."""
    if not isinstance(number, int):  # several outputs
        return []
    makers = {made: (part, taken, made_all) for part, taken, made_all in graph._wired
              for made in made_all}  # fmt: skip
    while number in makers:
        part, taken, made_all = makers[number]
        if len(made_all) != 1:
            return []
        found = _through(part, passing)
        if found is not None or not isinstance(taken, int):
            return found or []
        number = taken
    return []


class OutputOf:
    """One of several outputs of a network: what `last_layers` and `outputs_of` take for it."""

    def __init__(self, network: Any, key: Any) -> None:
        self.network, self.key = network, key


def ends_of(network: Any, passing: frozenset[str] = KEEPING) -> list[Layer]:
    """Return `last_layers` of a network or of one of its outputs."""
    if not isinstance(network, OutputOf):
        return last_layers(network, passing)
    graph, key = network.network, network.key
    while isinstance(graph, Sequential) and isinstance(graph.layers[-1], Layer):
        graph = graph.layers[-1]
    outputs: Any = getattr(graph, "outputs", None) if type(graph).__name__ == "Graph" else None
    if not isinstance(outputs, (Mapping, tuple)):
        return []
    known = outputs if isinstance(outputs, Mapping) else range(len(outputs))
    return _of_value(graph, outputs[key], passing) if key in known else []


def outputs_of(network: Any) -> int | None:
    """Return the number of outputs per sample or pixel, axis 1, if it is certain; else None."""
    inner, key = (network.network, network.key) if isinstance(network, OutputOf) else (network, ())
    if inner.in_shape is not None:
        shape = inner.out_shape(inner.in_shape)
        if isinstance(network, OutputOf):
            try:
                shape = shape[key]
            except (LookupError, TypeError):
                return None
        whole = isinstance(shape, tuple) and len(shape) > 0 and isinstance(shape[0], int)
        return shape[0] if whole else None
    last = ends_of(network, COUNTED)
    if len(last) != 1 or _joins(inner):
        return None
    count = getattr(last[0], "units", None) or getattr(last[0], "filters", None)
    return count if isinstance(count, int) else None


def _joins(network: Any) -> bool:
    """Return whether a network ends with `Branches`, whose outputs lie side by side."""
    while isinstance(network, Sequential | Checkpoint):
        network = network.layers[-1] if isinstance(network, Sequential) else network.body
    return isinstance(network, Branches)
