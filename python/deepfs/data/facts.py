"""What a model knows of its data: preprocessing, class names, a summary of the inputs."""

from __future__ import annotations

from typing import Any

from .._arrays import Array
from .._check import checked_names
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
