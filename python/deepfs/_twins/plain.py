"""Twins of layers that learn nothing, and of layers with parameters."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .._arrays import Array, Shape
from ..layers._base import Layer

Settings = Callable[[Any, Shape], tuple[Any, ...]]  # of a layer, and of the shape of its input


def none(layer: Layer, shape: Shape) -> tuple[Any, ...]:
    """Return no settings."""
    return ()


class Twin(ABC):
    """What computes in the place of a layer's `_forward` and `_backward`."""

    @abstractmethod
    def forward(self, layer: Any, x: Any, training: bool) -> tuple[Any, Any]:
        """Return the output, and what `backward` needs."""

    @abstractmethod
    def backward(self, layer: Any, dy: Any, kept: Any, need_dx: bool) -> Any:
        """Add to the gradients of the parameters; return dx, or None if it is not needed."""


@dataclass(frozen=True)
class Plain(Twin):
    """Of a layer without parameters: y = f(x, *settings), dx = df(x, dy, *settings)."""

    f: Callable[..., Array]
    df: Callable[..., Array]
    settings: Settings = none
    df_settings: Settings | None = None  # those of df, if they differ

    def forward(self, layer: Any, x: Array, training: bool) -> tuple[Array, Any]:
        return self.f(x, *self.settings(layer, x.shape)), x

    def backward(self, layer: Any, dy: Array, kept: Any, need_dx: bool) -> Array | None:
        settings = self.df_settings or self.settings
        return self.df(kept, dy, *settings(layer, kept.shape)) if need_dx else None


@dataclass(frozen=True)
class Learned(Twin):
    """Of a layer with parameters: y = f(x, *parameters, *settings).

    ``df(x, *parameters, dy, *settings)``, without the last parameter, returns the gradients of x
    and of all of them. A parameter that the layer does without, as a bias, is the number that
    changes nothing.
    """

    f: Callable[..., Array]
    df: Callable[..., tuple[Array, ...]]
    names: tuple[str, ...] = ("weight", "bias")
    settings: Settings = none
    df_settings: Settings | None = None
    last_in_df: bool = False  # whether df takes the last parameter as well
    idle: dict[str, float] = field(default_factory=lambda: {"bias": 0.0, "beta": 0.0, "gamma": 1.0})

    def parameters(self, layer: Any, x: Array) -> list[Array]:
        """Return the values of the parameters."""
        return [
            layer.learned[name].value
            if name in layer.learned
            else np.full(width_of(layer, x), self.idle[name], x.dtype)
            for name in self.names
        ]

    def forward(self, layer: Any, x: Array, training: bool) -> tuple[Array, Any]:
        return self.f(x, *self.parameters(layer, x), *self.settings(layer, x.shape)), x

    def backward(self, layer: Any, dy: Array, kept: Any, need_dx: bool) -> Array | None:
        parameters = self.parameters(layer, kept)
        settings = self.df_settings or self.settings
        taken = parameters if self.last_in_df else parameters[:-1]
        dx, *gradients = self.df(kept, *taken, dy, *settings(layer, kept.shape))
        add_gradients(layer, dict(zip(self.names, gradients, strict=True)))
        return dx if need_dx else None


def add_gradients(layer: Layer, gradients: dict[str, Array]) -> None:
    """Add to the gradients of those parameters that a layer has."""
    for name, gradient in gradients.items():
        if name in layer.learned:
            layer.learned[name].grad[...] += gradient


def width_of(layer: Any, x: Array) -> Shape:
    """Return the shape of a bias, a gamma or a beta that the layer does without."""
    for setting in ("units", "filters"):
        if hasattr(layer, setting):
            return (getattr(layer, setting),)
    if hasattr(layer, "axes"):  # layer norm
        return x.shape[-layer.axes :]
    return (x.shape[1] * getattr(layer, "multiplier", 1),)
