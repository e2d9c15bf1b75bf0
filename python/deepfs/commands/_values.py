"""Values of settings: text of the command line, or what a TOML file has.

Each function returns the value, or raises ArgumentTypeError with what is needed and what came; the
name of the setting is put before it.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .._command import near
from ._augment import AUGMENTATIONS, augmentation_name

Refused = argparse.ArgumentTypeError


def count(value: Any, least: int = 1) -> int:
    """Return an int of at least ``least``."""
    good = isinstance(value, int) and not isinstance(value, bool)
    if isinstance(value, str):
        good = value.isascii() and value.isdigit() and len(value) < 10
    if not good or int(value) < least:
        raise Refused(f"must be an int of at least {least}, got {value!r}")
    return int(value)


def whole(value: Any) -> int:
    """Return an int."""
    try:
        if isinstance(value, (float, bool)):
            raise ValueError
        return int(value)
    except (TypeError, ValueError):
        raise Refused(f"must be an int, got {value!r}") from None


def number(value: Any) -> float:
    """Return a number; what uses it knows its range."""
    try:
        if isinstance(value, bool):
            raise ValueError
        return float(value)
    except (TypeError, ValueError):
        raise Refused(f"must be a number, got {value!r}") from None


def share(value: Any) -> float:
    """Return a number from 0 up to but not including 1."""
    found = number(value)
    if not 0 <= found < 1:
        raise Refused(f"must be a share of the images, at least 0 and below 1, got {value!r}")
    return found


def size(value: Any) -> tuple[int, int]:
    """Return height and width, of ``64``, ``48x64`` or ``[48, 64]``."""
    sides = value.lower().split("x") if isinstance(value, str) else value
    sides = [*sides] if isinstance(sides, (list, tuple)) else [sides]
    try:
        found = [count(side) for side in sides]
        h, w = found * 2 if len(found) == 1 else found
    except (Refused, ValueError):
        raise Refused(f"must be N, or HxW in pixels, such as 64 or 48x64, got {value!r}") from None
    return h, w


def shape(value: str) -> tuple[int, ...]:
    """Return a shape, of ``3,32,32``."""
    return tuple(count(part) for part in value.split(","))


def text(value: Any) -> str:
    """Return text that is not empty."""
    if not isinstance(value, str) or not value:
        raise Refused(f"must be text, got {value!r}")
    return value


def file_of(suffix: str) -> Callable[[Any], str]:
    """Return the function that returns a file's name with a suffix, in a folder that exists."""

    def name(value: Any) -> str:
        path = Path(text(value))
        if path.suffix.lower() != suffix:
            raise Refused(f"must be a file with the ending {suffix}, got {value!r}")
        if not path.parent.is_dir():
            raise Refused(f"must be a file in a folder that exists, got {value!r}")
        return str(value)

    return name


def one_of(known: Sequence[str], instead: Mapping[str, str] | None = None) -> Callable[[Any], str]:
    """Return the function that returns a known name; ``instead`` says why others are none."""

    def name(value: Any) -> str:
        if value in known:
            return str(value)
        if isinstance(value, str) and instead and value in instead:
            raise Refused(f"{value} {instead[value]}")
        raise Refused(
            f"invalid choice: {value!r} (choose from {', '.join(known)}){near(str(value), known)}"
        )

    return name


def augmentations(value: Any) -> list[Any]:
    """Return augmentations, of ``flip,crop`` or a list of names, and of tables with settings."""
    found = value.split(",") if isinstance(value, str) else value
    if not isinstance(found, list):
        raise Refused(f"must be names such as flip,crop, got {value!r}")
    checked: list[Any] = []
    for each in found:
        name = each.get("name") if isinstance(each, dict) else each
        known = augmentation_name(name.strip()) if isinstance(name, str) else None
        if known is None:
            raise Refused(
                f"there is no augmentation {name!r}{near(str(name), [*AUGMENTATIONS])} "
                f"(there are {', '.join(AUGMENTATIONS)})"
            )
        checked.append(each | {"name": known} if isinstance(each, dict) else known)
    return checked
