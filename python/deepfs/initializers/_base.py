"""The type of an initializer, and fan-in and fan-out of a weight."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any, TypeAlias

from numpy.typing import NDArray

from .._check import shape as shape_of
from ..random import Random

Array: TypeAlias = NDArray[Any]
Initializer: TypeAlias = Callable[[tuple[int, ...], Random], Array]


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return fan-in and fan-out: the inputs of an output, and the outputs that an input reaches.

    Parameters
    ----------
    shape : tuple of int
        Shape of a weight: (in, out), or (co, ci/groups, ...) with the axes of a window.

    Raises
    ------
    ValueError
        If there are fewer than two axes.

    Examples
    --------
    >>> fans((784, 50)), fans((16, 8, 3, 3))
    ((784, 50), (72, 144))
    """
    shape = shape_of(shape)
    if len(shape) < 2:
        raise ValueError(f"an initializer by fan needs a shape of at least 2 axes, got {shape}")
    inputs, outputs = shape if len(shape) == 2 else (prod(shape[1:]), shape[0] * prod(shape[2:]))
    return max(inputs, 1), max(outputs, 1)
