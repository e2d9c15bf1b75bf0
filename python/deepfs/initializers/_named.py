"""Initializers by name."""

from __future__ import annotations

from collections.abc import Callable

from .._names import hint
from ._base import Initializer

BY_NAME: dict[str, Callable[[], Initializer]] = {}  # the package fills it


def get(initializer: str | Initializer, name: str = "initializer") -> Initializer:
    """Return the initializer of a name; return a function unchanged. Errors call it ``name``.

    Raises
    ------
    ValueError
        If no initializer has that name.
    TypeError
        If it is neither a name nor a function, such as a class: write ``HeNormal()``.

    Examples
    --------
    >>> get("he_normal")
    HeNormal()
    """
    if isinstance(initializer, str):
        if initializer not in BY_NAME:
            names = ", ".join(sorted(BY_NAME))
            likely = hint(initializer, BY_NAME)
            raise ValueError(f"{name} must be one of {names}, got {initializer!r}{likely}")
        return BY_NAME[initializer]()
    if isinstance(initializer, type):
        kind = initializer.__name__
        raise TypeError(f"{name} must be an object, got the class {kind}: write {kind}()")
    if not callable(initializer):
        raise TypeError(f"{name} must be a name or a function, got {initializer!r}")
    return initializer
