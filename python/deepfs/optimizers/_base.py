"""What an optimizer is, and the one buffer it works on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._check import number
from ..layers._base import Array, Parameter


class Arena:
    """All parameters of a network in one buffer, their gradients in a second.

    So an optimizer step is one kernel call, and clearing the gradients one pass. Parameters become
    views into the buffers; values and gradients are kept.

    Parameters
    ----------
    parameters : dict of Parameter
        By name. One that stands under several names, of a layer used twice, is taken once.

    Raises
    ------
    ValueError
        If the parameters have different dtypes.
    """

    def __init__(self, parameters: dict[str, Parameter]) -> None:
        self.parameters: dict[str, Parameter] = {}
        for name, parameter in parameters.items():
            if not any(parameter is known for known in self.parameters.values()):
                self.parameters[name] = parameter
        dtypes = {p.memory.dtype for p in self.parameters.values()}
        if len(dtypes) > 1:
            raise ValueError(f"a network must have one dtype, got {sorted(map(str, dtypes))}")
        size = sum(p.memory.size for p in self.parameters.values())
        self.values = np.empty(size, dtypes.pop() if dtypes else np.float32)
        self.grads = np.empty_like(self.values)
        start = 0
        for p in self.parameters.values():
            span = slice(start, start + p.memory.size)
            p.move(self.values[span], self.grads[span])
            start = span.stop

    def has(self, parameters: dict[str, Parameter]) -> bool:
        """Return whether these are the parameters that this arena was made of."""
        return {id(p) for p in parameters.values()} == {id(p) for p in self.parameters.values()}

    def holds(self, parameters: dict[str, Parameter]) -> bool:
        """Return whether these parameters lie here: a copy or another arena moves them."""
        return self.has(parameters) and all(
            p.memory.base is self.values and p.dmemory.base is self.grads
            for p in self.parameters.values()
        )

    def split(self, flat: Array) -> dict[str, Array]:
        """Return views into an array that lies like the arena, by parameter, as people read it."""
        views, start = {}, 0
        for name, p in self.parameters.items():
            part = flat[start : start + p.memory.size]
            views[name] = p.seen(part.reshape(p.memory.shape))
            start += p.memory.size
        return views


@dataclass(eq=False)
class Optimizer(ABC):
    """A rule that turns gradients into better weights.

    An optimizer is a dataclass whose fields are its settings, and nothing else: its state lives
    with the model, in arrays that lie like the parameters. Write one with `init` and `step`.

    Parameters
    ----------
    lr : float
        Step size, above 0.
    """

    lr: float

    def __post_init__(self) -> None:
        self.lr = number(self.lr, "lr", "(0, inf)")

    @abstractmethod
    def init(self, w: Array) -> dict[str, Array]:
        """Return the state before the first step, by name, for a flat array of parameters."""

    @abstractmethod
    def step(self, w: Array, g: Array, state: dict[str, Any], t: int) -> None:
        """Change ``w`` and ``state`` in place by the gradient ``g``; ``t`` counts from 1."""
