"""Layers one after the other. Kernels: those of the parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from .._arrays import Array, Shape, physical
from . import _parameter
from ._base import Layer
from ._container import Container, name_parts
from ._fusion import PLAIN, Epilogue
from .activation import ReLU

RELU, DRELU = Epilogue(relu=True), Epilogue(drelu=True)


class Plan(NamedTuple):
    """How the parts of a Sequential run, as long as the structure has this version."""

    version: int
    relu: list[bool]  # of each part: it computes the ReLU after it
    drelu: list[bool]  # of each part: it is a ReLU whose gradient the part after it computes
    lowest: int  # number of the first part that learns


@dataclass(eq=False)
class Sequential(Container):
    """Chain of layers: each takes the output of the one before it.

    Parameters
    ----------
    layers : list of Layer
        At least one. The same layer may stand in several places: it then has one set of weights.

    Raises
    ------
    TypeError, ValueError
        If a part is not a layer, if two parts have one name, or if there is none.

    Notes
    -----
    Shapes: those of the parts. The input is checked once, by the outermost container. In backward,
    no part below the first one that learns computes a gradient unless the caller wants ``dx``. A
    `ReLU` is fused where its neighbours can do it in their own pass, with the same bits: the layer
    before it rectifies its output, the layer after it zeroes its gradient. A fused operation asked
    of the container is done by its last layer; in backward, by its first.
    Twin: `deepfs.reference.sequential`.

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

    transparent = True  # computes nothing itself: tables show its parts only

    def __post_init__(self) -> None:
        if isinstance(self.layers, Layer) or not isinstance(self.layers, Sequence):
            raise TypeError(f"Sequential takes a list of layers, got {self.layers!r}")
        self.layers = tuple(self.layers)
        if not self.layers:
            raise ValueError("Sequential needs at least one layer, got none")
        self._parts = name_parts(self.layers, "Sequential")

    @property
    def fuses_forward(self) -> frozenset[str]:  # type: ignore[override]
        """What its last layer can do."""
        return self.layers[-1].fuses_forward

    @property
    def fuses_backward(self) -> frozenset[str]:  # type: ignore[override]
        """What its first layer can do."""
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
        """Return how the parts run; found anew when a layer has changed."""
        if self._plan is not None and self._plan.version == _parameter.structure.number:
            plan: Plan = self._plan
            return plan
        version = _parameter.structure.number
        pairs = list(zip(self.layers, self.layers[1:], strict=False))
        relu = [isinstance(b, ReLU) and "relu" in a.fuses_forward for a, b in pairs]
        drelu = [isinstance(a, ReLU) and "drelu" in b.fuses_backward for a, b in pairs]
        learns = (i for i, part in enumerate(self.layers) if part.parameters() and not part.frozen)
        plan = Plan(version, [*relu, False], [*drelu, False], next(learns, len(self.layers)))
        vars(self)["_plan"] = plan
        return plan

    def _forward(self, x: Array, training: bool, end: Epilogue = PLAIN) -> tuple[Array, Any]:
        self.check_shape(x)
        plan, caches, done = self._planned(), [], False  # done: the part before was a fused ReLU
        last = len(self.layers) - 1
        for i, part in enumerate(self.layers):
            if done:  # keep what its backward needs, if that is ever asked for
                cache: Any = None if plan.drelu[i] else physical(x)
            elif plan.relu[i]:
                x, cache = part._forward(x, training, RELU)  # type: ignore[call-arg]
            elif i == last and end is not PLAIN:
                x, cache = part._forward(x, training, end)  # type: ignore[call-arg]
            else:
                x, cache = part._forward(x, training)
            done = plan.relu[i] and not done
            caches.append(cache)
        return x, caches

    def _infer(self, x: Array, end: Epilogue = PLAIN) -> Array:
        self.check_shape(x)
        plan, done, last = self._planned(), False, len(self.layers) - 1
        for i, part in enumerate(self.layers):
            if done:
                done = False
                continue
            done = plan.relu[i]
            given = RELU if done else end if i == last else PLAIN
            x = part._infer(x) if given is PLAIN else part._infer(x, given)
        return x

    def _backward(
        self, dy: Array, cache: Any, need_dx: bool, end: Epilogue = PLAIN
    ) -> Array | None:
        plan = self._planned()
        first = 0 if need_dx else plan.lowest
        dx: Any = dy
        for i in range(len(self.layers) - 1, first - 1, -1):
            part, wanted = self.layers[i], need_dx or i > first
            if plan.drelu[i]:
                continue  # done by the part after it
            if i > first and plan.drelu[i - 1]:
                dx = part._backward(dx, cache[i], wanted, DRELU)  # type: ignore[call-arg]
            elif i == 0 and end is not PLAIN:
                dx = part._backward(dx, cache[i], wanted, end)  # type: ignore[call-arg]
            else:
                dx = part._backward(dx, cache[i], wanted)
        return dx if need_dx else None
