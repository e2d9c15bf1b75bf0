"""What `dir` lists of a module: the public names, so that completion offers nothing else."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import ModuleType
from typing import Any


def public_names(content: Mapping[str, Any]) -> list[str]:
    """Return the public names of a module with these globals, sorted.

    These are the names in ``__all__``, and those for derived classes: what a package imports from
    other modules of deepfs, and what a single file defines.
    """
    where, package = content["__name__"], "__path__" in content
    names = {*content.get("__all__", ())}
    for name, value in content.items():
        if name[0] == "_" or isinstance(value, ModuleType):
            continue
        home = getattr(value, "__module__", None)
        imported = getattr(sys.modules.get(home or ""), name, None) is value
        if home == where or (package and not (imported and from_library(str(home)))):
            names.add(name)
    return sorted(names)


def from_library(module: str) -> bool:
    """Return whether a module is one of Python's."""
    return module.partition(".")[0] in sys.stdlib_module_names
