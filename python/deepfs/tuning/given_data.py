"""What a search trains on: arrays, a data set, or what a function makes of settings."""

from __future__ import annotations

from typing import Any

from .._check import shown
from ..data.batches import DataSet


def is_function(data: Any) -> bool:
    """Return whether data are those that a function makes of the settings of a trial."""
    return callable(data) and not isinstance(data, DataSet)


def data_of(data: Any) -> tuple[Any, Any]:
    """Return inputs and targets; or a data set and None."""
    if isinstance(data, DataSet):
        return data, None
    if not isinstance(data, (tuple, list)) or len(data) != 2:
        raise TypeError(
            "data must be (x, y), a data set such as deepfs.data.Loader, or a function from "
            f"settings to one of them, got {shown(type(data).__name__)}: data to validate on are "
            "validation_data="
        )
    return data[0], data[1]
