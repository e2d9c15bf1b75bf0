"""What a model knows of its data: preprocessing, class names, a summary of the inputs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .._arrays import Array
from .._check import shown
from ..preprocessing import Preprocess
from .summary import InputSummary

SUMMARY = "inputs/"  # prefix of its arrays in a file
PREPROCESS = "preprocess/"


class DataFacts:
    """What a model knows of its data; it is saved with it.

    Attributes
    ----------
    preprocess : Preprocess or None
        What is done to inputs before the network sees them.
    class_names : tuple of str, or None
        Names of the classes, in the order of their numbers.
    summary : InputSummary or None
        Statistics of the inputs that the last `fit` has seen.
    """

    def __init__(self) -> None:
        self.preprocess: Preprocess | None = None
        self.class_names: tuple[str, ...] | None = None
        self.summary: InputSummary | None = None

    def arrays(self) -> dict[str, Array]:
        """Return what a file has of it beside the settings."""
        learned = {} if self.preprocess is None else self.preprocess.arrays()
        seen = {} if self.summary is None else self.summary.arrays()
        return {f"{PREPROCESS}{name}": array for name, array in learned.items()} | {
            f"{SUMMARY}{name}": array for name, array in seen.items()
        }


def checked_names(names: Any) -> tuple[str, ...] | None:
    """Return names of classes as a tuple.

    Raises
    ------
    TypeError, ValueError
        If they are not text, fewer than 2, or one occurs twice.
    """
    if names is None:
        return None
    if isinstance(names, (str, bytes, dict)) or not isinstance(names, Iterable):
        raise TypeError(
            f'class_names must be a list of names, as ["cat", "dog"], got {shown(names)}'
        )
    found = tuple(str(name) if isinstance(name, str) else name for name in names)
    for name in found:
        if not isinstance(name, str) or not name.strip():
            raise TypeError(f"class_names must be names, not empty, got {shown(name)}")
    if len(found) < 2:
        raise ValueError(f"class_names must be at least 2, got {shown(found)}")
    for name in found:
        if found.count(name) > 1:
            raise ValueError(f"class_names must be different, got {name!r} twice")
    return found


def check_same_names(known: tuple[str, ...] | None, data: Any) -> None:
    """Raise ValueError if a data set has other classes than those that are known.

    A test folder that lacks a class has other numbers for those that follow.
    """
    names = checked_names(getattr(data, "class_names", None))
    if known is not None and names is not None and names != known:
        way = "; for others, model.class_names = None"
        if set(names) < set(known):
            way = "; datasets.from_directory(folder, class_names=model.class_names) numbers them so"
        raise ValueError(
            f"the model has the classes {', '.join(known)}, the data set {', '.join(names)}: the "
            f"same numbers would mean others{way}"
        )
