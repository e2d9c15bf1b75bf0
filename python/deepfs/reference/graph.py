"""NumPy reference of `deepfs.layers.Graph`.

Values are numbered: first the inputs, then what each call returns. A call is a function and the
numbers of the values that it takes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from ._types import Array

Call: TypeAlias = tuple[Callable[..., Any], Sequence[int]]


def graph(inputs: Sequence[Array], calls: Sequence[Call], outputs: Sequence[int]) -> list[Array]:
    """Return the outputs; each function maps the values that it takes to one."""
    values = list(inputs)
    for function, takes in calls:
        values.append(function(*(values[number] for number in takes)))
    return [values[number] for number in outputs]


def graph_backward(
    douts: Sequence[Array], inputs: int, calls: Sequence[Call], outputs: Sequence[int]
) -> list[Array]:
    """Return the gradient of each of so many inputs.

    Each function maps the gradient of its value to those of the values that it takes.
    """
    sums: list[Any] = [0.0] * (inputs + len(calls))
    for number, dy in zip(outputs, douts, strict=True):
        sums[number] = sums[number] + dy
    for i in reversed(range(len(calls))):
        function, takes = calls[i]
        for number, dx in zip(takes, function(sums[inputs + i]), strict=True):
            sums[number] = sums[number] + dx
    return sums[:inputs]
