"""What a class with settings declares: its settings, its annotations, its methods."""

from __future__ import annotations

import dataclasses
import inspect
from types import FrameType
from weakref import WeakKeyDictionary

_names_of: WeakKeyDictionary[type, tuple[str, ...]] = WeakKeyDictionary()


def setting_names(cls: type) -> tuple[str, ...]:
    """Return the names of the settings of a class: what its constructor takes, in this order."""
    if cls not in _names_of:
        fields = dataclasses.fields(cls) if dataclasses.is_dataclass(cls) else ()
        _names_of[cls] = tuple(field.name for field in fields if field.init)
    return _names_of[cls]


def declared(cls: type) -> list[str]:
    """Return the names that a class and its bases annotate, other than class variables."""
    return [name for base in cls.__mro__ for name in annotated(base)]


def annotated(cls: type) -> list[str]:
    """Return the same of a class alone."""
    kinds = inspect.get_annotations(cls).items()
    return [name for name, kind in kinds if name[0] != "_" and "ClassVar" not in str(kind)]


def undecorated(cls: type) -> list[str]:
    """Return what a user's class annotates as a setting, but no constructor takes."""
    own = [name for base in cls.__mro__ if not is_built_in(base) for name in annotated(base)]
    return [name for name in own if name not in setting_names(cls)]


def has_setter(cls: type, name: str) -> bool:
    """Return whether a property, a slot or another descriptor of the class decides about a name."""
    return hasattr(type(getattr(cls, name, None)), "__set__")


def in_method(made: object, frame: FrameType | None) -> bool:
    """Return whether a frame runs a method of the object's class, on this object.

    There is no frame if C calls, such as a new thread or a browser.
    """
    if frame is None:
        return False
    code, module = frame.f_code, frame.f_globals.get("__name__", "builtins")
    if not code.co_argcount or frame.f_locals.get(code.co_varnames[0]) is not made:
        return False
    return any(
        cls.__module__ == module and code.co_qualname.startswith(f"{cls.__qualname__}.")
        for cls in type(made).__mro__
    )


def is_built_in(cls: type) -> bool:
    """Return whether a class is one of deepfs."""
    return cls.__module__.partition(".")[0] == __name__.partition(".")[0]
