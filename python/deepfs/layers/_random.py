"""Base class of layers that are random in training."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._arrays import Array, Shape
from ..random import get_seed, new_stream
from ._base import Layer


class RandomLayer(Layer):
    """A layer with a stream of random numbers of its own.

    Buffer ``key`` holds seed and stream, buffer ``calls`` the number of draws so far. They
    determine the next draw on any number of threads.
    """

    def _build(self, in_shape: Shape, dtype: np.dtype[Any]) -> None:
        self.add_buffer("key", (2,), np.int64, [get_seed(), new_stream()])
        self.add_buffer("calls", (1,), np.int64)

    def _weights(self) -> dict[str, Array]:
        return {name: parameter.value for name, parameter in self.learned.items()}

    def _new_draw(self) -> tuple[int, ...]:
        """Return seed, stream and call of the next draw, and count it."""
        seed, stream = map(int, self.buffered["key"])
        calls = self.buffered["calls"]
        call = int(calls[0]) % 2**32
        calls += 1
        return seed, stream, call


def scale_of(p: float) -> float:
    """Return the factor of the entries that are kept, so that the mean stays; p = 1 keeps none."""
    return 1 / (1 - p) if p < 1 else 1.0
