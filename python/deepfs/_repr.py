"""How objects with settings are printed: as the call that makes them, without defaults.

``Conv2D(16, 3, padding=1)``: a setting is left out if the constructor would choose the same. What
is too wide goes to several lines, as the formatter Black does it, so that ``eval`` still reads it.
"""

from __future__ import annotations

import textwrap
from reprlib import recursive_repr
from typing import Any

WIDTH = 100


@recursive_repr("...")
def written(made: Any) -> str:
    """Return the call that makes an object, on as many lines as it needs."""
    return laid_out(made, "", "", 0)


def laid_out(value: Any, before: str, after: str, indent: int) -> str:
    """Return the text of a value between two others, indented, from its second line on."""
    line = before + one_line(value) + after
    parts = parts_of(value)
    if indent + len(line) <= WIDTH or (parts is None and isinstance(value, str)):
        return line
    if parts is None or not parts[1]:
        wrapped = textwrap.wrap(line, WIDTH - indent - 4, break_long_words=False,
                                break_on_hyphens=False)  # fmt: skip
        return f"\n{' ' * (indent + 4)}".join(wrapped)
    opening, entries, closing = parts
    margin = f"\n{' ' * (indent + 4)}"
    (key, first), *others = entries
    if is_call(value) and (not others or isinstance(first, (list, tuple))):
        rest = "".join(f", {key}{one_line(entry)}" for key, entry in others)
        if len(rest) < WIDTH // 2:  # Sequential([ and the layers, without another indentation
            return laid_out(first, before + opening + key, rest + closing + after, indent)
    inner = [laid_out(entry, key, ",", indent + 4) for key, entry in entries]
    return f"{before}{opening}{margin}{margin.join(inner)}\n{' ' * indent}{closing}{after}"


def one_line(value: Any) -> str:
    """Return the text of a value on one line."""
    parts = parts_of(value)
    if parts is None:
        return repr(value) if isinstance(value, str) else " ".join(repr(value).split())
    opening, entries, closing = parts
    return opening + ", ".join(key + one_line(entry) for key, entry in entries) + closing


def parts_of(value: Any) -> tuple[str, list[tuple[str, Any]], str] | None:
    """Return what a text is made of, if it can be divided: brackets, names, and values."""
    if is_call(value):
        return f"{type(value).__name__}(", value._arguments(), ")"
    if isinstance(value, dict) and any(map(divides, value.values())):
        return "{", [(f"{key!r}: ", entry) for key, entry in value.items()], "}"
    if isinstance(value, (list, tuple)) and any(map(divides, value)):
        return "[", [("", entry) for entry in value], "]"
    return None


def divides(value: Any) -> bool:
    """Return whether a text contains objects with settings."""
    return is_call(value) or parts_of(value) is not None


def is_call(value: Any) -> bool:
    """Return whether a value is an object with settings, whose class prints it as such."""
    return getattr(type(value).__repr__, "__qualname__", "") == "Settings.__repr__"
