"""The network of a model in a file: it is checked and built before its arrays are read.

This is apart from `model` because a process that only predicts needs no optimizer, metric or
training loop, and starts faster without their imports.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from .._arrays import Array, Shape
from .._check import one_of, shown, whole
from .._check import shape as shape_of
from .._fields import is_built_in
from ..layers import Layer
from ..layers._container import Container, walk
from .tensors import CheckpointError, TensorFile

FORMAT = 2  # version of the layout of a file; 1 is that of 0.1.0


def leaves(network: Layer) -> list[tuple[str, Layer]]:
    """Return the layers that are not containers, by name."""
    found = walk(network, "", network.in_shape or ())
    return [(name, layer) for name, layer, _ in found if not isinstance(layer, Container)]


def check_fields(description: Mapping[str, Any]) -> None:
    """Check the fields that no constructor checks; raise TypeError or ValueError."""
    check_shapes(description["in_shape"])
    one_of(description["dtype"], "dtype", ("float32", "float64"))
    frozen = description.get("frozen", [])
    if not isinstance(frozen, list) or not all(isinstance(name, str) for name in frozen):
        raise TypeError(f"frozen must be a list of names, got {shown(frozen)}")


def check_shapes(value: Any) -> None:
    """Check the shape of an input, or a list or dict of the shapes of several inputs."""
    if isinstance(value, dict):
        shapes = list(value.values())
    else:
        nested = isinstance(value, list) and any(isinstance(part, list) for part in value)
        shapes = value if nested else [value]
    for shape in shapes:
        shape_of(shape, "in_shape")


class FileBudget:
    """Number of bytes that layers may take for their arrays while a file is read."""

    def __init__(self, nbytes: int) -> None:
        self.left = nbytes

    def take(self, shape: Shape, dtype: DTypeLike) -> None:
        """Count an array before it is made; raise ValueError if it exceeds the budget."""
        self.left -= prod(shape) * np.dtype(dtype).itemsize
        if self.left < 0:
            raise ValueError(
                f"the file is too small for its layers: no data for an array of shape {shape}"
            )


def build(network: Layer, description: Mapping[str, Any], file: TensorFile) -> None:
    """Build a network for the arrays in a file, with no more memory than the file has data for.

    A malicious file of a few bytes could describe layers of many gigabytes.
    """
    budget = FileBudget(2 * file.nbytes)  # a layer may make an array in two forms
    network.build(description["in_shape"], description["dtype"], budget)
    frozen = set(description.get("frozen", []))
    named = dict(leaves(network))
    for name in frozen:
        if name not in named:
            raise ValueError(f"frozen names {shown(name)}, which is no layer of the network")
        named[name].freeze()


def check_arrays(
    wanted: Mapping[str, Array], file: TensorFile, is_one: Callable[[str], bool]
) -> None:
    """Raise CheckpointError unless those arrays of a file that are of a model are as wanted."""
    names = [name for name in file.entries if is_one(name)]
    for name in [*wanted, *names]:
        if name not in file.entries or name not in wanted:
            where = "lacks" if name not in file.entries else "has, and the network lacks,"
            raise CheckpointError(f"{file.path} {where} the array {name!r}")
        array, shape, dtype = wanted[name], file.shape(name), file.dtype(name)
        if array.shape != shape or array.dtype != dtype:
            raise CheckpointError(
                f"{file.path} has {name!r} as {dtype}{shape}, "
                f"the network takes {array.dtype}{array.shape}"
            )


def check_buffers(network: Layer, file: TensorFile) -> None:
    """Raise CheckpointError for seeds, counts and variances that no layer of deepfs can have.

    They would be errors in the middle of a later training, or not even that.
    """
    for layer_name, layer, _ in walk(network, "", network.in_shape or ()):
        for key in layer.buffered if is_built_in(type(layer)) else ():
            name = "buffer/" + f"{layer_name}.{key}".lstrip(".")
            if name not in file.entries:  # a layer in two places is there once
                continue
            if file.dtype(name).kind != "i" and key != "running_var":
                continue
            values = file.read(name)
            if (values < 0).any() or (key == "key" and values[1] >= 2**32):
                raise CheckpointError(f"{file.path} has {name!r} with {shown(values.tolist())}")


def description_in(file: TensorFile) -> dict[str, Any]:
    """Return the description of a model in a file; raise CheckpointError for a newer version."""
    try:
        version = whole(file.description["format"], "format")
    except (LookupError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{file.path} is a safetensors file, but not a deepfs model"
        ) from error
    if version > FORMAT:
        raise CheckpointError(
            f"{file.path} is of format {version}, this deepfs reads up to {FORMAT}"
        )
    description: dict[str, Any] = file.description
    return description
