"""How objects with settings are printed: as the call that makes them, without defaults.

``Conv2D(16, 3, padding=1)``: a setting is left out if the constructor would choose the same. What
is too wide goes to several lines, as the formatter Black does it, so that ``eval`` still reads it.
"""

from __future__ import annotations

import dataclasses
import textwrap
from reprlib import recursive_repr
from typing import Any

from ._settings import Settings, content_of, same, worked_out

WIDTH = 100
REFUSED = object()


@recursive_repr("...")
def written(made: Settings) -> str:
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
    if isinstance(value, Settings) and (not others or isinstance(first, (list, tuple))):
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
    if isinstance(value, Settings):
        if type(value).__repr__ is not Settings.__repr__:  # of a user's class
            return None
        return f"{type(value).__name__}(", arguments(value), ")"
    if isinstance(value, dict) and any(map(divides, value.values())):
        return "{", [(f"{key!r}: ", entry) for key, entry in value.items()], "}"
    if isinstance(value, (list, tuple)) and any(map(divides, value)):
        return "[", [("", entry) for entry in value], "]"
    return None


def divides(value: Any) -> bool:
    """Return whether a text contains objects with settings."""
    return isinstance(value, Settings) or parts_of(value) is not None


def arguments(made: Settings) -> list[tuple[str, Any]]:
    """Return the arguments of the call that makes an object: names with "=", and values."""
    cls, content = type(made), content_of(made)
    fields = [f for f in dataclasses.fields(cls) if f.init and f.repr and f.name in content]  # type: ignore[arg-type]
    fields.sort(key=lambda f: f.kw_only is True)
    given = {field.name: content[field.name] for field in fields}
    defaults = {f.name: f.default for f in fields if f.default is not dataclasses.MISSING}
    defaults |= {f.name: f.default_factory() for f in fields
                 if f.default_factory is not dataclasses.MISSING}  # fmt: skip
    found = []
    positional = True
    for field in fields:
        name, value = field.name, given[field.name]
        if name in defaults and same(value, chosen(cls, given, name, defaults[name])):
            positional = False
            continue
        positional = positional and not field.kw_only and name not in defaults
        found.append(("" if positional else f"{name}=", shorter(cls, given, name)))
    return found


def shorter(cls: type, given: dict[str, Any], name: str) -> Any:
    """Return 3 for (3, 3), if the constructor makes the same of it."""
    value = given[name]
    if isinstance(value, tuple) and len(value) > 1 and all(same(v, value[0]) for v in value):
        one = value[0]
        if isinstance(one, int) and same(value, chosen(cls, given, name, one)):
            return one
    return value


def chosen(cls: type, given: dict[str, Any], name: str, value: Any) -> Any:
    """Return what a constructor makes of a value for one setting; REFUSED if it takes others."""
    try:
        return worked_out(cls, given | {name: value})[name]
    except Exception:  # a repr must not fail, whatever a user's class does
        return REFUSED
