"""Counters and clocks that `Model.profile` wraps around the layers of a network."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np

from .._arrays import Array, Shape
from .._trees import Tree, leaves, map_tree
from ..layers import Container, Layer
from ..layers._container import walk


class Meter:
    """Work of a function in one step, and its seconds in each of several steps."""

    def __init__(self) -> None:
        self.multiply_adds = self.nbytes = 0
        self.calls = 0  # in this step
        self.seconds = 0.0
        self.steps: list[tuple[int, float]] = []  # calls and seconds of earlier steps

    def end_step(self) -> None:
        """Begin the next step."""
        self.steps.append((self.calls, self.seconds))
        self.calls, self.seconds = 0, 0.0


class Stopwatch:
    """Times functions, without the time of the timed functions that they call."""

    def __init__(self) -> None:
        self.inside = 0.0  # seconds in the functions that the running one has called

    def timed(self, call: Callable[..., Any], meter: Meter) -> Callable[..., Any]:
        """Return the function, wrapped so that its seconds are added to a meter."""

        def wrapper(*args: Any, **kwargs: Any) -> Any:
            outside, self.inside = self.inside, 0.0
            start = perf_counter()
            result = call(*args, **kwargs)
            seconds = perf_counter() - start
            meter.calls += 1
            meter.seconds += seconds - self.inside
            self.inside = outside + seconds
            return result

        return wrapper


class Probe:
    """Wraps `_forward` and `_backward` of a layer; passes all their arguments on."""

    def __init__(self, name: str, layer: Layer) -> None:
        self.name, self.layer = name, layer
        self.algorithm = self.backward_algorithm = "-"
        self.forward, self.backward = Meter(), Meter()
        self._forward, self._backward = layer._forward, layer._backward
        self._learned = sum(p.storage.nbytes for p in layer.parameters().values())
        self._counted: list[tuple[Shape, int, int]] = []  # shapes and bytes of inputs, work

    def count(self) -> None:
        """Count the work of the calls that follow; a container's work is that of its parts."""
        if not isinstance(self.layer, Container):
            vars(self.layer).update(_forward=self._count_forward, _backward=self._count_backward)

    def time(self, watch: Stopwatch) -> None:
        """Time the calls that follow."""
        vars(self.layer).update(
            _forward=watch.timed(self._forward, self.forward),
            _backward=watch.timed(self._backward, self.backward),
        )

    def _count_forward(self, x: Tree, *args: Any, **kwargs: Any) -> Any:
        result = self._forward(x, *args, **kwargs)
        in_shape, n = map_tree(lambda a: a.shape[1:], x), len(next(iter(leaves(x))))
        self.algorithm = self.layer.algorithm_for(in_shape)
        work = n * self.layer.multiply_adds(in_shape)
        nbytes = sum(a.nbytes for a in leaves(x))
        self._counted.append((in_shape, nbytes, work))
        self.forward.multiply_adds += work
        if not shares(x, result[0]):
            self.forward.nbytes += nbytes + result[0].nbytes + self._learned
        return result

    def _count_backward(self, dy: Array, *args: Any, **kwargs: Any) -> Any:
        dx, meter = self._backward(dy, *args, **kwargs), self.backward
        fused = not self._counted  # no forward
        in_shape, x_nbytes, work = ((), 0, 0) if fused else self._counted.pop()
        if not fused:
            passes = ["backward_weight"] if dx is None else ["backward_weight", "backward_input"]
            names = [self.layer.algorithm_for(in_shape, name) for name in passes]
            self.backward_algorithm = ", ".join(dict.fromkeys(names))
        if self._learned:
            meter.nbytes += x_nbytes + dy.nbytes + self._learned
            meter.multiply_adds += work
        if dx is not None and not shares(dx, dy):
            meter.nbytes += sum(a.nbytes for a in leaves(dx)) + (self._learned or dy.nbytes)
            meter.multiply_adds += work
        return dx


def shares(several: Tree, one: Array) -> bool:
    """Return whether an array is a view of one of several, or one of them of it."""
    return any(np.may_share_memory(a, one) for a in leaves(several))


def probes_of(network: Layer) -> list[Probe]:
    """Return a probe per layer. A layer that occurs twice has one, named after its first place."""
    probes: dict[int, Probe] = {}
    for name, layer, _ in walk(network, "", network.in_shape or ()):
        if id(layer) not in probes:
            probes[id(layer)] = Probe(name, layer)
    return list(probes.values())
