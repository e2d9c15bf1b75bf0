"""Experiments of the textbook, each a page: ``dfs.lab.optimizer_paths()``, ``deepfs lab``.

Each experiment is a function that computes and returns a `Result`: its numbers, what to see,
whether the finding holds, and ``.plot()``. It lies in a module of its own name, which uses public
names of deepfs only: read it as an example. `names` lists them.

The experiments are those of K. Saito's *Deep Learning from Scratch* and of the course CS231n.
"""

from __future__ import annotations

from typing import Any

from ._experiment import Result
from ._list import GROUPS, find, groups, names

__all__ = ["GROUPS", "Result", "find", "groups", "names"]


def __getattr__(name: str) -> Any:
    if name.startswith("_"):
        raise AttributeError(name)
    try:
        value = find(name)
    except ValueError as error:
        raise AttributeError(str(error)) from None
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, *names()])
