"""Time of inference of two networks, by layer."""

from __future__ import annotations

import copy
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

from .._trees import map_shapes
from ..inspection.meters import Meter, Stopwatch
from ..layers import Layer
from ..layers._container import walk

REPEATS = 9


def milliseconds(networks: list[Layer], samples: int) -> list[dict[str, float]]:
    """Return milliseconds of inference of a batch, by name of the layer; "" is the whole network.

    Networks take turns, so that other programs disturb all alike. Of the whole network it is the
    least time of several, of a layer the median; times of layers are measured apart, and without
    those of their parts.
    """
    inputs = [batch_for(network, samples) for network in networks]
    least = [np.inf] * len(networks)
    for _ in range(REPEATS):
        for i, network in enumerate(networks):
            start = perf_counter()
            network(inputs[i])
            least[i] = min(least[i], perf_counter() - start)
    found = [by_layer(network, x) for network, x in zip(networks, inputs, strict=True)]
    return [{**one, "": 1e3 * whole} for one, whole in zip(found, least, strict=True)]


def batch_for(network: Layer, samples: int) -> Any:
    """Return random inputs of a network."""
    random = np.random.default_rng(0)
    return map_shapes(
        lambda shape: random.standard_normal((samples, *shape)).astype(network.built_dtype),
        network.in_shape,
    )


def by_layer(network: Layer, x: Any) -> dict[str, float]:
    """Return milliseconds of each layer, all its calls together."""
    network = copy.deepcopy(network)
    watch, meters = Stopwatch(), dict[int, tuple[str, Meter]]()
    for name, layer, _ in walk(network, "", network.in_shape or ()):
        if id(layer) not in meters:
            meters[id(layer)] = name or type(layer).__name__.lower(), Meter()
            vars(layer)["_infer"] = watch.timed(layer._infer, meters[id(layer)][1])
    for _ in range(REPEATS):
        network(x)
        for _, meter in meters.values():
            meter.end_step()
    return {name: 1e3 * median(seconds for _, seconds in meter.steps)
            for name, meter in meters.values()}  # fmt: skip
