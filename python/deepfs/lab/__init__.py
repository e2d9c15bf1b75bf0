"""Experiments of the textbook, each a page: ``dfs.lab.optimizer_paths()``, ``deepfs lab``.

Each experiment is a function that computes and returns a `Result`: its numbers, what to see,
whether the finding holds, and ``.plot()``. It lies in a module of its own name, which uses public
names of deepfs only: read it as an example. `names` lists them.

The experiments are those of K. Saitoh's *Deep Learning from Scratch* and of the course CS231n.
"""

import importlib
import typing

from ._experiment import Movie, Result, experiment
from ._list import GROUPS, find, groups, names
from .gallery import gallery

__all__ = ["GROUPS", "Movie", "Result", "experiment", "find", "gallery", "groups", "names"]


def __getattr__(name: str) -> typing.Any:
    """Return an experiment, or the package of a group, which is imported when it is first used."""
    if name.startswith("_"):
        raise AttributeError(name)
    if name in GROUPS:
        return importlib.import_module(f"{__name__}.{name}")
    try:
        return find(name)
    except ValueError as error:
        raise AttributeError(str(error)) from None


def __dir__() -> list[str]:
    return sorted([*__all__, *names()])
