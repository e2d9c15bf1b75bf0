"""Layers, classes and shapes from words of a command: ``module:Class`` and ``2,3,8,8``."""

from __future__ import annotations

import argparse
import importlib
import inspect
import sys
from difflib import get_close_matches
from typing import Any

from ..layers import Layer


def layer_of(text: str) -> Layer:
    """Return the layer that ``module:Class`` names, with the default settings of the class.

    What follows the colon may also be a layer, or a function without arguments that returns one.

    Raises
    ------
    ValueError
        If the text is not ``module:Class``, or there is no such name.
    ImportError
        If the module cannot be imported.
    TypeError
        If it is no layer, or its class needs settings or lacks a method.
    """
    found, name = named(text)
    if not isinstance(found, Layer) and callable(found):
        if inspect.isabstract(found):
            missing = ", ".join(sorted(found.__abstractmethods__))
            raise TypeError(f"{text} cannot be made: its class does not define {missing}")
        try:
            inspect.signature(found).bind()
        except TypeError as error:
            raise TypeError(
                f"{text} needs arguments: write a function without any that returns the layer, "
                f"def example(): return {name}(...), and name that ({error})"
            ) from error
        found = found()
    if not isinstance(found, Layer):
        raise TypeError(f"{text} must be a Layer, or make one; got {type(found).__name__}")
    return found


def class_of(text: str) -> type:
    """Return the class that ``module:Class`` names, of a layer, loss, optimizer or schedule.

    Raises
    ------
    ValueError
        If the text is not ``module:Class``, or there is no such name.
    ImportError
        If the module cannot be imported.
    TypeError
        If it is no class.
    """
    found, _ = named(text)
    if not isinstance(found, type):
        raise TypeError(f"{text} must be a class, got {type(found).__name__}")
    return found


def named(text: str) -> tuple[Any, str]:
    """Return what ``module:Class`` names, and the name without its module."""
    module_name, colon, name = text.partition(":")
    if not colon or not all(part.isidentifier() for part in [*module_name.split("."), name]):
        raise ValueError(f"a layer is named by module:Class, such as swish:Swish, got {text!r}")
    if module_name.endswith(".py"):
        raise ValueError(f"a layer is named by its module: {module_name[:-3]}:{name}, got {text!r}")
    module = imported(module_name)
    if not hasattr(module, name):
        near = get_close_matches(name, dir(module), 1)
        hint = f": did you mean {module_name}:{near[0]}?" if near else ""
        raise ValueError(f"{module_name} has no {name}{hint}")
    return getattr(module, name), name


def imported(name: str) -> Any:
    """Import a module, also one of the current folder."""
    if "" not in sys.path:
        sys.path.insert(0, "")  # as `python -m` does
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise
        raise ImportError(
            f"there is no module {error.name} here: run the command in the folder of "
            f"{error.name}.py, or install its package, pip install --no-build-isolation -e ."
        ) from error


def shape_of(text: str) -> tuple[int, ...]:
    """Return the shape that ``2,3,8,8`` gives, the batch first; for argparse."""
    words = text.strip("() ").split(",")
    numbers = tuple(
        int(word) for word in words if word.strip().isascii() and word.strip().isdigit()
    )
    too_large = any(n > sys.maxsize for n in numbers)
    if len(numbers) != len(words) or len(numbers) < 2 or 0 in numbers or too_large:
        raise argparse.ArgumentTypeError(
            f"must be the shape of a batch, such as 32,3,28,28 or 32,100, got {text!r}"
        )
    return numbers
