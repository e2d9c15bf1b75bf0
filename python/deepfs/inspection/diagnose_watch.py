"""What `deepfs.diagnose` notes of each layer of a copy: outputs, gradients, the first NaN."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._arrays import Array
from .._trees import Tree, leaves
from ..layers import Clip, Layer, ReLU, Sigmoid, Tanh
from ..layers._container import walk
from .inner import parts_of

# A value is saturated if the derivative there is below 5 % of the largest one.
SATURATED: dict[type, Callable[[Array], Array]] = {
    Sigmoid: lambda y: y * (1 - y) < 0.05 / 4,
    Tanh: lambda y: 1 - y * y < 0.05,
}

RANGES = {"Sigmoid": (0.0, 1.0), "Softmax": (0.0, 1.0), "Tanh": (-1.0, 1.0),
          "ReLU": (0.0, np.inf), "Softplus": (0.0, np.inf)}  # fmt: skip


def output_range(layer: Layer) -> tuple[float, float]:
    """Return the limits of what a layer returns; infinite where nothing is known."""
    if isinstance(layer, Clip):
        low, high = layer.min_value, layer.max_value
        return -np.inf if low is None else low, np.inf if high is None else high
    return RANGES.get(type(layer).__name__, (-np.inf, np.inf))


@dataclass(frozen=True)
class NotFinite:
    """Where a number that is NaN or infinite was found first.

    Attributes
    ----------
    where : str
        Name of the layer; ``inputs`` or ``targets``; of a weight, the name of the parameter.
    pass_name : str
        "data", "weights", "forward", "loss", "backward" or "update".
    index : tuple of int
        Index in the array: the output in a forward pass, the gradient of the input in a backward
        pass. Its first entry is the number of the sample, other than in an array of weights.
    step : int
        Number of steps that were taken before.
    """

    where: str
    pass_name: str
    index: tuple[int, ...]
    step: int


class Watch:
    """The first number that is not finite, over all layers; and the position, set from outside."""

    def __init__(self) -> None:
        self.first: NotFinite | None = None
        self.step = 0
        self.numbers: Array = np.arange(0)  # of the samples of the batch

    def look(self, where: str, pass_name: str, array: Array, by_sample: bool = True) -> bool:
        """Return whether all numbers are finite; remember the first one that is not."""
        good = np.isfinite(array)
        if good.all():
            return True
        if self.first is None:
            index = [int(i) for i in np.unravel_index(int(good.argmin()), array.shape)]
            if by_sample and index and index[0] < len(self.numbers):
                index[0] = int(self.numbers[index[0]])
            self.first = NotFinite(where, pass_name, tuple(index), self.step)
        return False


class LayerWatch:
    """Sums over the outputs and the gradients of a layer; it wraps `_forward` and `_backward`."""

    def __init__(self, name: str, layer: Layer, watch: Watch) -> None:
        self.name, self.layer, self.watch = name, layer, watch
        self.noting = True  # the trial only looks for NaN
        self.entries = self.saturated = self.gradients = 0
        self.total = self.squares = self.gradient_squares = 0.0
        self.active: Array | None = None  # of a ReLU or Clip: whether each unit ever was
        self._forward, self._backward = layer._forward, layer._backward
        vars(layer).update(_forward=self.forward, _backward=self.backward)

    def forward(self, x: Tree, *args: Any, **kwargs: Any) -> Any:
        """Run the layer, and note its output."""
        result = self._forward(x, *args, **kwargs)
        for y in leaves(result[0]):
            if self.watch.look(self.name, "forward", y) and self.noting:
                self._note(y)
        return result

    def backward(self, dy: Tree, *args: Any, **kwargs: Any) -> Any:
        """Run the layer backward, and note the gradient of its output."""
        for leaf in leaves(dy):
            if leaf is not None and self.noting:
                flat = np.asarray(leaf, np.float64).ravel()
                self.gradient_squares += squares_of(flat)
                self.gradients += flat.size
        dx = self._backward(dy, *args, **kwargs)
        for leaf in leaves(dx):
            if leaf is not None:
                self.watch.look(self.name, "backward", leaf)
        return dx

    def _note(self, y: Array) -> None:
        flat = np.asarray(y, np.float64).ravel()
        self.entries += flat.size
        self.total += float(flat.sum())
        self.squares += squares_of(flat)
        kind = type(self.layer)
        if kind in (ReLU, Clip):  # active is where a gradient passes: not at a limit
            low, high = output_range(self.layer)
            inside = np.logical_and(y > low, y < high)
            active: Array = np.any(inside, axis=tuple(i for i in range(y.ndim) if i != 1))
            before = self.active
            if before is None or before.shape != active.shape:
                before = np.zeros_like(active)
            self.active = np.logical_or(before, active)
        elif kind in SATURATED:
            self.saturated += int(np.count_nonzero(SATURATED[kind](y)))

    @property
    def mean(self) -> float:
        """Mean of the outputs."""
        return self.total / self.entries if self.entries else float("nan")

    @property
    def std(self) -> float:
        """Standard deviation of the outputs."""
        if not self.entries:
            return float("nan")
        return float(np.sqrt(max(self.squares / self.entries - self.mean**2, 0.0)))

    @property
    def rms(self) -> float:
        """Root of the mean square of the outputs."""
        return float(np.sqrt(self.squares / self.entries)) if self.entries else 0.0

    @property
    def dead(self) -> float | None:
        """Share of the units of a ReLU or Clip that were never active."""
        return None if self.active is None else float(1 - self.active.mean())

    @property
    def saturated_share(self) -> float | None:
        """Share of the values of a sigmoid or tanh that are saturated."""
        if type(self.layer) not in SATURATED or not self.entries:
            return None
        return self.saturated / self.entries


def squares_of(flat: Array) -> float:
    """Return the sum of squares; a product by BLAS would depend on its threads."""
    return float(np.square(flat).sum())


def watch_layers(network: Layer, watch: Watch) -> list[LayerWatch]:
    """Watch all layers of a built network, a copy: nothing is fused in it from now on.

    A layer in several places is watched once, under the name of the first.
    """
    for part in parts_of(network).values():
        vars(part).update(fuses_forward=frozenset(), fuses_backward=frozenset())
        vars(part)["recomputes"] = False  # a Checkpoint: each output is noted once
    found: dict[int, LayerWatch] = {}
    for name, layer, _ in walk(network, "", network.in_shape or ()):
        if id(layer) not in found:
            found[id(layer)] = LayerWatch(name or type(layer).__name__.lower(), layer, watch)
    return list(found.values())
