"""View: a part of a data set as an array that is read by slices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .._arrays import Array, Shape


class View:
    """An array that is read when it is indexed: what `Lazy` does for objects of other libraries."""

    def __init__(self, read: Callable[[Array], Array], shape: Shape, dtype: Any) -> None:
        self.read, self.shape, self.dtype = read, shape, np.dtype(dtype)
        self.ndim = len(shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> Array:
        """Return entries of the first axis: one, a slice of them, or those of an array."""
        numbers = np.arange(len(self))[index]
        return self.read(numbers) if numbers.ndim else self.read(numbers[None])[0]
