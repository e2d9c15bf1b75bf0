"""A layer that is run several times from the same state, as training runs it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import numpy as np

from cnn_core.memory import Buffer

from .._arrays import REUSED, Array
from .._trees import Tree, leaves, map_tree
from ..layers import Layer
from ..optimizers import Arena
from ._compare import named

NAN = 255  # the byte of which idle memory is full: every float is NaN then
OTHER = 63  # the same, for 4.8e-4 in float64

_patching = threading.RLock()  # two checks at once must not take the other's function for NumPy's


class Run:
    """A layer whose buffers are restored before every forward, so that all runs are equal.

    Its parameters lie in an `Arena`, as in training.
    """

    def __init__(self, layer: Layer, training: bool) -> None:
        self.layer, self.training = layer, training
        self.parameters = layer.parameters()
        self.made = {name: (p.storage, p.dstorage) for name, p in self.parameters.items()}
        Arena(self.parameters)
        self.moved = {name: (p.storage, p.dstorage) for name, p in self.parameters.items()}
        self.buffers = {name: buffer.copy() for name, buffer in layer.buffers().items()}

    def forward(self, x: Any, training: bool | None = None) -> tuple[Any, Any]:
        for name, buffer in self.layer.buffers().items():
            buffer[...] = self.buffers[name]
        return self.layer.forward(x, training=self.training if training is None else training)

    def both(
        self, x: Any, dy: Any, need_dx: bool = True, idle: int | None = None
    ) -> dict[str, Array]:
        """Return output, gradients and buffers of one forward and backward.

        ``idle`` is a byte: memory that nobody uses is filled with it before each of them.
        """
        for parameter in self.parameters.values():
            parameter.grad = np.zeros(parameter.value.shape)
        sizes = () if idle is None else self._sizes(x, dy)
        with new_memory_full_of(idle, sizes):
            y, cache = self.forward(x)
        with new_memory_full_of(idle, sizes):
            dx = self.layer.backward(dy, cache, need_dx=need_dx)
        out = {name: np.array(array) for name, array in named(y, "y").items()}
        if dx is not None:
            out |= {name: np.array(array) for name, array in named(dx, "dx").items()}
        out |= {f"d {name}": p.grad.copy() for name, p in self.layer.parameters().items()}
        out |= {f"buffer {name}": b.copy() for name, b in self.layer.buffers().items()}
        return out

    def _sizes(self, x: Tree, dy: Tree) -> Iterable[int]:
        arrays = (*leaves(x), *leaves(dy), *(p.storage for p in self.parameters.values()))
        return {array.nbytes for array in arrays if array.nbytes}

    def nearby(self, x: Tree, dy: Tree, shake: Callable[[Array], Array]) -> dict[str, Array]:
        """Return the result at another point: that of changed inputs and parameters."""
        parameters = self.parameters.values()
        before = [parameter.value.copy() for parameter in parameters]
        for parameter, value in zip(parameters, before, strict=True):
            parameter.value = shake(value)
        try:
            return self.both(map_tree(shake, x), dy)
        finally:
            for parameter, value in zip(parameters, before, strict=True):
                parameter.value = value


@contextmanager
def new_memory_full_of(byte: int | None, sizes: Iterable[int]) -> Iterator[None]:
    """Have new arrays begin with numbers of one byte inside a ``with`` block, where possible.

    `numpy.empty` fills its arrays. Others, of these sizes in bytes, find memory that was returned
    just before, full of that byte.
    """
    if byte is None:
        yield
        return
    with _patching, patch.object(np, "empty", filling(np.empty, byte)), \
            patch.object(np, "empty_like", filling(np.empty_like, byte)):  # fmt: skip
        fill_idle_memory(byte, sizes)
        yield


def filling(make: Callable[..., Array], byte: int) -> Callable[..., Array]:
    """Return a function that fills what another one makes."""

    def filled(*args: Any, **kwargs: Any) -> Array:
        made = make(*args, **kwargs)
        if made.dtype.kind in "fc":
            made.fill(np.frombuffer(bytes([byte]) * made.itemsize, made.dtype)[0])
        return made

    return filled


def fill_idle_memory(byte: int, sizes: Iterable[int]) -> None:
    """Have arrays of these sizes, in bytes, that are made next lie in memory full of one byte.

    The allocators keep several pieces of a size, so several are filled.
    """
    arrays: list[Array] = []
    for size in sizes:
        for _ in range(4):
            arrays.append(np.full(size, byte, np.uint8))  # NumPy's own memory
            if size >= 4 * REUSED:  # that of `deepfs.layers.empty`
                memory: Any = Buffer(size)
                arrays.append(np.ndarray(size, np.uint8, memory))
                arrays[-1].fill(byte)
