"""What holds for all of `deepfs.book`: the dtype, and where long scripts stop."""

from __future__ import annotations

import os
import time
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from .._arrays import Array, float_dtype

DTYPE, STEPS = "DEEPFS_BOOK_DTYPE", "DEEPFS_BOOK_STEPS"  # variables of the environment
F4, F8 = np.dtype(np.float32), np.dtype(np.float64)


class Settings:
    """The dtype, the limit of steps (0: none), and what has been counted."""

    dtype = F8
    steps = 0
    taken = 0
    began = 0.0


def set_dtype(dtype: DTypeLike) -> None:
    """Choose what `deepfs.book` computes in: float64, as the book does, or float32.

    With float32, layers round their inputs and parameters on each call. Your arrays keep their
    dtype; those that `deepfs.book` makes itself are float32. The environment variable
    ``DEEPFS_BOOK_DTYPE`` sets it for one run.

    Examples
    --------
    >>> set_dtype("float32")
    >>> get_dtype()
    dtype('float32')
    >>> set_dtype("float64")
    """
    Settings.dtype = float_dtype(dtype)


def get_dtype() -> np.dtype[Any]:
    """Return what `deepfs.book` computes in."""
    return Settings.dtype


def dtype_for(*arrays: Any) -> np.dtype[Any]:
    """Return the dtype to compute in: float32 by the switch, or if all arrays have it."""
    if Settings.dtype is F4 or Settings.dtype == F4:
        return F4
    for array in arrays:
        if getattr(array, "dtype", F4) != F4:
            return F8
    return F4


def cast(x: Array, dtype: np.dtype[Any]) -> Array:
    """Return ``x`` in a dtype, with its order in memory; a copy only if needed."""
    return x if x.dtype == dtype else x.astype(dtype)


def count_step(loss: Any) -> None:
    """Count a pass backward; end the script after ``DEEPFS_BOOK_STEPS`` of them."""
    if not Settings.steps:
        return
    if not Settings.taken:
        Settings.began = time.perf_counter()
    if Settings.taken == Settings.steps:
        seconds = (time.perf_counter() - Settings.began) / Settings.taken
        print(
            f"deepfs.book: stopped after {Settings.taken} steps ({STEPS}), "
            f"{seconds * 1000:.2f} ms per step, last loss {float(loss):.4f}",
            flush=True,
        )
        raise SystemExit(0)
    Settings.taken += 1


def read_environment() -> None:
    """Take the settings of the environment."""
    name = os.environ.get(DTYPE)
    if name:
        if name not in ("float32", "float64"):
            raise ValueError(f"{DTYPE} must be float32 or float64, got {name!r}")
        set_dtype(name)
    steps = os.environ.get(STEPS)
    if steps:
        if not steps.isdecimal() or int(steps) < 1:
            raise ValueError(f"{STEPS} must be a number of steps from 1, got {steps!r}")
        Settings.steps = int(steps)


read_environment()
