"""Chains of layers. Kernels: those of the parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from .._arrays import Array, Shape, physical
from . import _parameter
from ._base import Layer
from ._container import name_parts
from ._fusion import PLAIN, Epilogue
from ._indexing import Indexed, checked_parts
from .activation import ReLU

RELU, DRELU = Epilogue(relu=True), Epilogue(drelu=True)


class Caches(list[Any]):
    """Caches of the parts of a chain, in their order.

    With ``once``, backward runs for the only time: it drops each cache when it has used it, so
    that gradients take the memory.
    """

    once = False


def use_once(cache: Any) -> None:
    """Let the next backward drop what it has used, of a Sequential or of those in a Residual."""
    for part in cache if type(cache) is tuple else (cache,):
        if type(part) is Caches:
            part.once = True


class Step(NamedTuple):
    """How a part of a Sequential runs."""

    part: Layer
    end: Epilogue  # of its forward pass: the ReLU after it, or nothing
    done: bool  # it is a ReLU that the part before it computes
    drelu: bool  # it is a ReLU whose gradient the part after it computes


class Plan(NamedTuple):
    """How a Sequential runs. Valid while the structure has this version."""

    version: int
    steps: list[Step]
    inference: list[Step]  # without the ReLUs that the parts before them compute
    backward: list[tuple[int, Layer, Epilogue, bool]]  # from the last on, likewise; and `_once`
    learned: list[tuple[int, _parameter.Parameter]]  # all parameters, each with its part's index


def lowest(plan: Plan) -> int:
    """Return the index of the first part that learns in this step, or the number of parts."""
    for i, parameter in plan.learned:
        if not parameter._frozen:
            return i
    return len(plan.steps)


@dataclass(eq=False)
class Sequential(Indexed):
    """Sequential container: a chain of layers, each applied to the output of the one before it.

    Parameters
    ----------
    layers : list of Layer
        The layers, at least one. The same layer may occur several times: its weights are then
        shared.

    Raises
    ------
    TypeError, ValueError
        If a part is not a layer, if two parts have the same name, or if there is no part.

    Notes
    -----
    ``net[0]``, ``net["dense_1"]`` and ``net["block.dense_1"]`` are layers, ``net[:-1]`` is a
    Sequential of the same layers, ``net[-1] = layer`` replaces one; ``len(net)`` and loops work.

    Shapes: those of the parts. The input is checked once, by the outermost container. In backward,
    no part before the first one that learns computes a gradient, unless the caller asks for ``dx``.
    A `ReLU` is fused into its neighbours where they support it, with the same bits: the layer
    before it applies it to its output, and the layer after it applies its gradient. A fused
    operation asked of the container is done by its last layer; in backward, by its first.
    NumPy reference: `deepfs.reference.sequential`.

    References
    ----------
    ``torch.nn.Sequential``, ``keras.Sequential``.

    Examples
    --------
    >>> from deepfs.layers import Dense, ReLU, Sequential
    >>> net = Sequential([Dense(8), ReLU(), Dense(2)])
    >>> net(np.zeros((3, 4))).shape
    (3, 2)
    >>> list(net.parameters())
    ['dense_1.weight', 'dense_1.bias', 'dense_2.weight', 'dense_2.bias']
    """

    layers: Sequence[Layer]

    listed = "layers"
    transparent = True  # computes nothing itself: tables show its parts only
    _once = True

    def __post_init__(self) -> None:
        self.layers = checked_parts("Sequential", self.layers)
        self._parts = name_parts(self.layers, "Sequential")

    @property
    def fuses_forward(self) -> frozenset[str]:  # type: ignore[override]
        """Fused operations of its last layer."""
        return self.layers[-1].fuses_forward

    @property
    def fuses_backward(self) -> frozenset[str]:  # type: ignore[override]
        """Fused operations of its first layer."""
        return self.layers[0].fuses_backward

    def named_parts(self) -> dict[str, Layer]:
        return self._parts

    def part_shapes(self, in_shape: Shape) -> list[Shape]:
        shapes = [in_shape]
        for part in self.layers[:-1]:
            shapes.append(part.out_shape(shapes[-1]))
        return shapes

    def _out_shape(self, in_shape: Shape) -> Shape:
        for part in self.layers:
            in_shape = part.out_shape(in_shape)
        return in_shape

    def _planned(self) -> Plan:
        """Return how the parts run; computed again when a layer has changed."""
        plan: Plan | None = self._plan
        version = _parameter.structure.number
        if plan is not None and plan.version == version:
            return plan
        steps: list[Step] = []
        for part, after in zip(self.layers, (*self.layers[1:], None), strict=True):
            relu = isinstance(after, ReLU) and "relu" in part.fuses_forward
            done = bool(steps) and steps[-1].end is RELU
            drelu = after is not None and "drelu" in after.fuses_backward
            steps.append(
                Step(part, RELU if relu else PLAIN, done, drelu and isinstance(part, ReLU))
            )
        learned = [(i, p) for i, part in enumerate(self.layers) for p in part.parameters().values()]
        inference = [step for step in steps if not step.done]
        backward = [
            (i, step.part, DRELU if i and steps[i - 1].drelu else PLAIN, step.part._once)
            for i, step in enumerate(steps)
            if not step.drelu
        ]
        plan = Plan(version, steps, inference, backward[::-1], learned)
        vars(self)["_plan"] = plan
        return plan

    def _forward(self, x: Array, training: bool, end: Epilogue = PLAIN) -> tuple[Array, Any]:
        self.check_shape(x)
        steps, caches = self._planned().steps, Caches()
        for step in steps:
            given = end if step is steps[-1] else step.end
            if step.done:  # keep the cache of the ReLU, unless the part after it computes dx
                cache: Any = None if step.drelu else physical(x)
            elif given is PLAIN:
                x, cache = step.part._forward(x, training)
            else:
                x, cache = step.part._forward(x, training, given)
            caches.append(cache)
        return x, caches

    def _infer(self, x: Array, end: Epilogue = PLAIN) -> Array:
        self.check_shape(x)
        *steps, last = self._planned().inference
        for part, given, _, _ in steps:
            x = part._infer(x) if given is PLAIN else part._infer(x, given)
        given = last.end if last.end is not PLAIN else end
        return last.part._infer(x) if given is PLAIN else last.part._infer(x, given)

    def _backward(
        self, dy: Array, cache: Any, need_dx: bool, end: Epilogue = PLAIN
    ) -> Array | None:
        plan = self._planned()
        first = 0 if need_dx else lowest(plan)
        dx: Any = dy
        once = type(cache) is Caches and cache.once
        for i, part, given, has_caches in plan.backward:
            if i < first:
                break
            if i == first:  # nothing is before it, or nothing that learns
                given = end if i == 0 else PLAIN
            kept = cache[i]
            if once:
                cache[i] = None
                if has_caches:
                    use_once(kept)
            if given is PLAIN:
                dx = part._backward(dx, kept, need_dx or i > first)
            else:
                dx = part._backward(dx, kept, need_dx or i > first, given)
        return dx if need_dx else None
