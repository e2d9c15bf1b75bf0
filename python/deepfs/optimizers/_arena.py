"""The buffer that holds the parameters of a network, and where each of them lies."""

from __future__ import annotations

from math import prod
from typing import Any, NamedTuple

import numpy as np

from .._arrays import Array, Shape
from ..layers import Parameter

PAGE = 4096  # bytes
MIN_PAGE_ALIGNED_BYTES = 2**14  # bytes; smaller arrays need not begin a page


def zeros(size: int, dtype: np.dtype[Any]) -> Array:
    """Return a flat array of zeros; a large one begins a page of memory.

    Then no vector straddles two cache lines, which made a step of SGD 25 % slower; and no array
    begins some bytes after another, whose stores the processor would take for its loads.
    The memory is NumPy's, which asks for huge pages.
    """
    nbytes = size * dtype.itemsize
    if nbytes < MIN_PAGE_ALIGNED_BYTES:
        return np.zeros(size, dtype)
    memory = np.zeros(nbytes + PAGE, np.uint8)
    skip = -memory.__array_interface__["data"][0] % PAGE
    return memory[skip : skip + nbytes].view(dtype)


def zeros_like(w: Array) -> Array:
    """Return a state array of zeros for flat parameters: of their size and dtype.

    Parameters
    ----------
    w : array (n,)
        Flat parameters, as `Optimizer.init` is given them.

    Returns
    -------
    array (n,)
        Zeros. A large array begins a page of memory, which makes a step faster.

    Examples
    --------
    >>> zeros_like(np.ones(3, np.float32))
    array([0., 0., 0.], dtype=float32)
    """
    return zeros(w.size, w.dtype)


class Span(NamedTuple):
    """Where a parameter lies in a flat array, and the order of its axes there."""

    name: str
    start: int
    shape: Shape  # in memory
    axes: tuple[int, ...]  # of `layers.Parameter`

    @property
    def stop(self) -> int:
        return self.start + prod(self.shape)

    def view(self, flat: Array) -> Array:
        """Return the parameter's part of a flat array, its axes in logical order."""
        return self.shaped(flat[self.start : self.stop])

    def shaped(self, part: Array) -> Array:
        """Return the entries of this parameter, as they lie, with its axes in logical order."""
        return part.reshape(self.shape).transpose(np.argsort(self.axes))


class Arena:
    """All parameters of a network in one buffer, their gradients in a second.

    So an optimizer step is one kernel call, and clearing the gradients one pass. Parameters become
    views into the buffers; values and gradients are kept.

    Parameters
    ----------
    parameters : dict of Parameter
        By name. A parameter that has several names, because its layer is used twice, is taken once.

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
        dtypes = {p.storage.dtype for p in self.parameters.values()}
        if len(dtypes) > 1:
            raise ValueError(f"a network must have one dtype, got {sorted(map(str, dtypes))}")
        size = sum(p.storage.size for p in self.parameters.values())
        self.values = zeros(size, dtypes.pop() if dtypes else np.dtype(np.float32))
        self.grads = zeros_like(self.values)
        self.spans: list[Span] = []
        start = 0
        for name, p in self.parameters.items():
            span = Span(name, start, p.storage.shape, p.axes)
            p.move_to(self.values[start : span.stop], self.grads[start : span.stop])
            self.spans.append(span)
            start = span.stop

    def has(self, parameters: dict[str, Parameter]) -> bool:
        """Return whether these are the parameters that this arena was made of."""
        return {id(p) for p in parameters.values()} == {id(p) for p in self.parameters.values()}

    def holds(self, parameters: dict[str, Parameter]) -> bool:
        """Return whether these parameters lie here: a copy or another arena moves them."""
        values, grads = owner(self.values), owner(self.grads)
        return self.has(parameters) and all(
            p.storage.base is values and p.dstorage.base is grads for p in self.parameters.values()
        )

    def split(self, flat: Array) -> dict[str, Array]:
        """Return views into an array that lies like the arena, by parameter, in logical order."""
        return {span.name: span.view(flat) for span in self.spans}


def owner(array: Array) -> Array:
    """Return the array that owns the memory: NumPy makes it the base of all its views."""
    return array if array.base is None else array.base
