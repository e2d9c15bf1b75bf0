"""Networks whose arrays cannot be written, and have no gradients."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from .._arrays import Array, Shape, empty
from ..layers import Layer
from ..layers._container import Container, all_parts


class NoGradient(np.ndarray[Any, Any]):
    """The gradient of a parameter that is not trained: one 0 that stands for all, read-only."""

    def __reduce__(self) -> Any:
        return no_gradient, (self.shape, self.dtype.str)

    def __deepcopy__(self, memo: Any) -> NoGradient:
        return self


def no_gradient(shape: Shape, dtype: Any) -> NoGradient:
    """Return one of a shape. It takes no memory, and in a pickle a few bytes."""
    return np.broadcast_to(np.zeros((), dtype), shape).view(NoGradient)


def fixed_copy(a: Array) -> Array:
    """Return a copy that cannot be written, aligned for kernels if it is large."""
    made = empty(a.shape, a.dtype)
    made[...] = a
    made.setflags(write=False)
    return made


def fixed_network(network: Layer) -> Layer:
    """Return a copy of a built network with read-only weights, without gradients.

    Initializers that are functions become "zeros": they may hold arrays, or refuse to be pickled,
    and a network that is built does not need them.
    """
    memo: dict[int, Any] = {}
    for parameter in network.parameters().values():
        memo[id(parameter.storage)] = fixed_copy(parameter.storage)
        memo[id(parameter.dstorage)] = no_gradient(
            parameter.dstorage.shape, parameter.storage.dtype
        )
    memo |= {id(buffer): fixed_copy(buffer) for buffer in network.buffers().values()}
    for layer in layers_of(network):
        initializer = vars(layer).get("initializer")
        if callable(initializer):
            memo[id(initializer)] = "zeros"
    made = copy.deepcopy(network, memo)
    name_dtypes(made)
    return made


def layers_of(network: Layer) -> list[Layer]:
    """Return a network and all its parts."""
    return [network, *(all_parts(network) if isinstance(network, Container) else ())]


def name_dtypes(network: Layer) -> None:
    """Give a copy NumPy's own dtype objects: layers compare them by ``is``, and copies differ."""
    for layer in layers_of(network):
        if layer.built_dtype is not None:
            vars(layer)["built_dtype"] = np.dtype(layer.built_dtype.name)


def sharing(network: Layer) -> Layer:
    """Return a copy of such a network with the same weights."""
    arrays = [parameter.storage for parameter in network.parameters().values()]
    arrays += network.buffers().values()
    made = copy.deepcopy(network, {id(array): array for array in arrays})
    name_dtypes(made)
    return made


def fix(network: Layer) -> None:
    """Make the arrays of such a network read-only again: pickles do not say that they are."""
    name_dtypes(network)
    for parameter in network.parameters().values():
        parameter._bind(fixed_copy(parameter.storage), parameter.dstorage)
    for buffer in network.buffers().values():
        buffer.setflags(write=False)
