"""Units that can be pruned: filters and dense units, with all that is zero when they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import prod

import numpy as np

from ..layers import Layer, Parameter
from ._kinds import out_axis, per_channel
from ._trace import Trace


@dataclass
class Unit:
    """Filters that must go together, because their outputs are added; one, in most networks.

    Attributes
    ----------
    weights, rest : list of (Parameter, axis, index)
        The filters; and biases, gammas and betas of the same channels.
    """

    weights: list[tuple[Parameter, int, int]] = field(default_factory=list)
    rest: list[tuple[Parameter, int, int]] = field(default_factory=list)

    def norm(self) -> float:
        """Return the root of the mean square of the weights."""
        squares, count = 0.0, 0
        for parameter, axis, index in self.weights:
            filter_ = parameter.value.take(index, axis)
            squares += float(np.square(filter_, dtype=np.float64).sum())
            count += prod(filter_.shape)
        return float(np.sqrt(squares / max(count, 1)))


def units_of(
    network: Layer, chosen: Callable[[str], bool], frozen: Callable[[str], bool]
) -> list[list[Unit]]:
    """Return the units of a network, those of the same layers in one list.

    Parameters
    ----------
    network : Layer
        A built network.
    chosen, frozen : function
        Tell by its name whether a weight may be pruned, and whether a parameter is frozen. A unit
        is left out if it has another weight, a frozen parameter, or channels that must stay.
    """
    trace = Trace(network)
    names = {id(p): name for name, p in reversed(network.parameters().items())}
    units: dict[int, Unit] = {}
    left = {root for channels, _ in trace.fixed for root in trace.root[channels].tolist()}
    makers: dict[int, list[int]] = {}  # of a unit: the layers that make it
    for number, mixer in trace.mixers.items():
        name, axis = out_axis(mixer.layer)
        weight = mixer.layer.learned[name]
        roots = trace.root[mixer.outputs].tolist()
        own = [names[id(parameter)] for parameter in mixer.layer.learned.values()]
        if not chosen(names[id(weight)]) or any(map(frozen, own)):
            left.update(roots)
        for index, root in enumerate(roots):
            unit = units.setdefault(root, Unit())
            unit.weights.append((weight, axis, index))
            makers.setdefault(root, []).append(number)
            if "bias" in mixer.layer.learned:
                unit.rest.append((mixer.layer.learned["bias"], 0, index))
    for apart in trace.aparts.values():
        for name in per_channel(apart.layer):
            parameter = apart.layer.learned.get(name)
            if parameter is None or name == "slope":
                continue
            roots = trace.root[apart.outputs].tolist()
            if frozen(names[id(parameter)]):
                left.update(roots)
            for index, root in enumerate(roots):
                if root in units:
                    units[root].rest.append((parameter, 0, index))
    layers: dict[tuple[int, ...], list[Unit]] = {}
    for root, unit in units.items():
        if root not in left:
            layers.setdefault(tuple(makers[root]), []).append(unit)
    return list(layers.values())
