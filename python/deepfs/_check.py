"""Checks of settings: each says who must what, and what came."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

LARGEST = 2**30 - 1  # largest extent, step or padding, in pixels, that a kernel takes


def whole(value: Any, name: str, least: int = 1, most: int = 2**62) -> int:
    """Return ``value`` as an int from ``least`` to ``most``; a float, even 3.0, is refused."""
    try:
        if isinstance(value, bool):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an int, got {value!r}") from None
    if not least <= number <= most:
        bound = f"at least {least}" if number < least else f"at most {most}"
        raise ValueError(f"{name} must be {bound}, got {number}")
    return number


def pair(value: int | Sequence[int], name: str, least: int = 1) -> tuple[int, int]:
    """Return one int as two, and two as they are."""
    entries = tuple(value) if isinstance(value, Sequence) else (value, value)
    try:
        if isinstance(value, str) or len(entries) != 2:
            raise TypeError
        first, second = (whole(entry, name, least, LARGEST) for entry in entries)
    except (TypeError, ValueError):
        kind = "a positive int" if least == 1 else f"an int from {least} to {LARGEST}"
        raise type_or_value(value)(f"{name} must be {kind} or two of them, got {value!r}") from None
    return first, second


def type_or_value(value: Any) -> type[Exception]:
    """Return ValueError for ints out of range or of the wrong number, TypeError for the rest."""
    entries = value if isinstance(value, (list, tuple)) else [value]
    whole_numbers = all(hasattr(e, "__index__") and not isinstance(e, bool) for e in entries)
    return ValueError if whole_numbers else TypeError


def padding(value: str | int | Sequence[int]) -> str | tuple[int, int, int, int]:
    """Return ``"same"``, ``"valid"`` or (top, bottom, left, right)."""
    if isinstance(value, str):
        if value not in ("same", "valid"):
            raise ValueError(f'padding must be "same", "valid" or ints, got {value!r}')
        return value
    if isinstance(value, Sequence) and len(value) == 4:
        top, bottom, left, right = (whole(v, "padding", 0, LARGEST) for v in value)
        return top, bottom, left, right
    try:
        high, wide = pair(value, "padding", 0)
    except (TypeError, ValueError) as error:
        raise type(error)(
            'padding must be an int of at least 0, two or four of them, "same" or "valid", '
            f"got {value!r}"
        ) from None
    return high, high, wide, wide


def number(value: Any, name: str, interval: str) -> float:
    """Return ``value`` as a float in an interval written as in mathematics, ``"[0, 1)"``."""
    try:
        if isinstance(value, (bool, str)):
            raise TypeError
        result = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a number in {interval}, got {value!r}") from None
    low, high = (float(bound) for bound in interval[1:-1].split(","))
    above = result > low or (interval[0] == "[" and result == low)
    below = result < high or (interval[-1] == "]" and result == high)
    if not (above and below) or math.isnan(result):
        raise ValueError(f"{name} must be in {interval}, got {value!r}")
    return result


def flag(value: Any, name: str) -> bool:
    """Return ``value`` if it is True or False."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False, got {value!r}")
    return value


def one_of(value: Any, name: str, choices: Sequence[str]) -> str:
    """Return ``value`` if it is one of ``choices``."""
    if value not in choices:
        listed = ", ".join(repr(choice) for choice in choices)
        raise ValueError(f"{name} must be one of {listed}, got {value!r}")
    return str(value)
