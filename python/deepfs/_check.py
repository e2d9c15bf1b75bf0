"""Checks of arguments. Each error says which one must be what, and what it got."""

from __future__ import annotations

import math
import numbers
import operator
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

MAX_EXTENT = 2**30 - 1  # largest extent, stride or padding that a kernel takes


def shown(value: Any) -> str:
    """Return ``value`` as text for a message: one line of at most 100 characters."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 100 else f"{text[:70]}...{text[-20:]}"


def whole(value: Any, name: str, least: float = 1, most: float = 2**62) -> int:
    """Return ``value`` as an int from ``least`` to ``most``; a float, even 3.0, is refused."""
    try:
        if isinstance(value, bool):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an int, got {shown(value)}") from None
    if not least <= number <= most:
        bound = f"at least {least}" if number < least else f"at most {most}"
        raise ValueError(f"{name} must be {bound}, got {shown(number)}")
    return number


def pair(value: int | Sequence[int], name: str, least: int = 1) -> tuple[int, int]:
    """Return an int or two ints as two ints, each at least ``least``."""
    entries = tuple(value) if isinstance(value, Sequence) else (value, value)
    try:
        if isinstance(value, str) or len(entries) != 2:
            raise TypeError
        first, second = (whole(entry, name, least, MAX_EXTENT) for entry in entries)
    except (TypeError, ValueError):
        error = type_or_value(value)
        kind = "a positive int" if least == 1 else f"an int of at least {least}"
        large = error is ValueError and any(entry > MAX_EXTENT for entry in entries)
        bound = f", at most {MAX_EXTENT}" if large else ""
        raise error(f"{name} must be {kind} or two of them{bound}, got {shown(value)}") from None
    return first, second


def type_or_value(value: Any) -> type[Exception]:
    """Return ValueError for wrong ints or a wrong number of them, TypeError for anything else."""
    entries = value if isinstance(value, (list, tuple)) else [value]
    try:
        for entry in entries:
            whole(entry, "", -math.inf, math.inf)
    except TypeError:
        return TypeError
    return ValueError


def padding(value: str | int | Sequence[int]) -> str | tuple[int, int, int, int]:
    """Return ``"same"``, ``"valid"`` or (top, bottom, left, right)."""
    if isinstance(value, str):
        if value not in ("same", "valid"):
            raise ValueError(f'padding must be "same", "valid" or ints, got {shown(value)}')
        return value
    return sides(value)


def sides(
    value: int | Sequence[int], name: str = "padding", others: str = ', "same" or "valid"'
) -> tuple[int, int, int, int]:
    """Return a padding in numbers as (top, bottom, left, right)."""
    if isinstance(value, Sequence) and len(value) == 4 and not isinstance(value, str):
        top, bottom, left, right = (whole(v, name, 0, MAX_EXTENT) for v in value)
        return top, bottom, left, right
    try:
        high, wide = pair(value, name, 0)
    except (TypeError, ValueError) as error:
        raise type(error)(
            f"{name} must be an int of at least 0, two or four of them{others}, got {shown(value)}"
        ) from None
    return high, high, wide, wide


def number(value: Any, name: str, interval: str) -> float:
    """Return ``value`` as a float in an interval in mathematical notation, such as ``"[0, 1)"``."""
    real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not real:
        raise TypeError(f"{name} must be a number in {interval}, got {shown(value)}")
    try:
        result = float(value)
    except OverflowError:  # an int with more than 308 digits
        result = math.inf if value > 0 else -math.inf
    low, high = (float(bound) for bound in interval[1:-1].split(","))
    above = result > low or (interval[0] == "[" and result == low)
    below = result < high or (interval[-1] == "]" and result == high)
    if not (above and below) or math.isnan(result):
        raise ValueError(f"{name} must be in {interval}, got {shown(value)}")
    return result


def flag(value: Any, name: str) -> bool:
    """Return ``value`` if it is True or False."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False, got {shown(value)}")
    return value


def one_of(value: Any, name: str, choices: Sequence[str | None]) -> Any:
    """Return ``value`` if it is one of ``choices``, which are strings or None."""
    if not isinstance(value, str | None) or value not in choices:
        listed = ", ".join(repr(choice) for choice in choices)
        raise ValueError(f"{name} must be one of {listed}, got {shown(value)}")
    return value


def shape(value: Any, name: str = "shape") -> tuple[int, ...]:
    """Return ints as a shape; raise MemoryError if no array can have it."""
    if not isinstance(value, (tuple, list)):
        raise TypeError(f"{name} must be a tuple of ints, got {shown(value)}")
    extents = tuple(whole(entry, f"each entry of {name}", 0) for entry in value)
    if math.prod(max(extent, 1) for extent in extents) >= 2**60:  # bytes are counted in 63 bits
        raise MemoryError(f"no memory for an array of shape {extents}")
    return extents


def array(value: ArrayLike, who: str) -> NDArray[Any]:
    """Return ``value`` as an array; nested lists must have equal lengths."""
    try:
        return np.asarray(value)
    except ValueError:
        kind = type(value).__name__
        raise ValueError(f"{who} takes arrays, got a {kind} of unequal rows") from None


def checked_names(names: Any) -> tuple[str, ...] | None:
    """Return names of classes as a tuple.

    Raises
    ------
    TypeError, ValueError
        If they are not text, fewer than 2, or one occurs twice.
    """
    if names is None:
        return None
    if isinstance(names, (str, bytes, dict)) or not isinstance(names, Iterable):
        raise TypeError(
            f'class_names must be a list of names, as ["cat", "dog"], got {shown(names)}'
        )
    found = tuple(str(name) if isinstance(name, str) else name for name in names)
    for name in found:
        if not isinstance(name, str) or not name.strip():
            raise TypeError(f"class_names must be names, not empty, got {shown(name)}")
    if len(found) < 2:
        raise ValueError(f"class_names must be at least 2, got {shown(found)}")
    for name in found:
        if found.count(name) > 1:
            raise ValueError(f"class_names must be different, got {name!r} twice")
    return found
