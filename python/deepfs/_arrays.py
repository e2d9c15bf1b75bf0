"""Memory layout of arrays, and the dtypes that deepfs computes in.

The *logical* axes of images are ``(n, c, h, w)``, for indexing. The *physical* order in memory is
channels-last, ``(n, h, w, c)``, because every kernel vectorises over channels. `channels_last`
converts from the first to the second, and copies only if the array is not channels-last yet;
`channels_first` returns a view. (oneDNN and PyTorch use the same words.)
"""

from __future__ import annotations

import sys
from math import prod
from typing import Any, NoReturn, TypeAlias, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from cnn_core import transpose
from cnn_core.memory import Buffer

Array: TypeAlias = NDArray[Any]
Shape: TypeAlias = tuple[int, ...]
T = TypeVar("T")

REUSED = 2**13  # entries from which `empty` reuses memory of earlier arrays


def channels_last(x: Array) -> Array:
    """Return an array ``(n, c, ...)`` as a C-contiguous ``(n, ..., c)``; a copy only if needed.

    Examples
    --------
    >>> channels_last(np.zeros((2, 3, 8, 7))).shape
    (2, 8, 7, 3)
    """
    if x.ndim < 3:
        return np.ascontiguousarray(x)
    last = x.transpose(0, 2, 3, 1) if x.ndim == 4 else np.moveaxis(x, 1, -1)
    if last.flags.c_contiguous:
        return last
    if not (x.flags.c_contiguous and _kernel_dtype(x)):
        return np.ascontiguousarray(last)
    n, c, pixels = len(x), x.shape[1], prod(x.shape[2:])
    y = empty(last.shape, x.dtype)
    transpose.transpose(x.reshape(n, c, pixels), y.reshape(n, pixels, c))
    return y


def channels_first(x: Array) -> Array:
    """Return a view of a channels-last array with its logical axes, ``(n, c, ...)``.

    Examples
    --------
    >>> channels_first(np.zeros((2, 8, 7, 3))).shape
    (2, 3, 8, 7)
    """
    if x.ndim == 4:
        return x.transpose(0, 3, 1, 2)
    return np.moveaxis(x, -1, 1) if x.ndim > 2 else x


def physical(x: Array) -> Array:
    """Return ``x`` C-contiguous for an element-wise kernel; images channels-last."""
    return channels_last(x) if x.ndim == 4 else np.ascontiguousarray(x)


def logical(x: Array) -> Array:
    """Return a view with logical axes of an array that lies like the result of `physical`."""
    return channels_first(x) if x.ndim == 4 else x


def flat_rows(x: Array) -> Array:
    """Return samples as rows ``(n, entries)``, in logical order; a copy only if needed."""
    if x.ndim == 2:
        return np.ascontiguousarray(x)
    if x.ndim == 4 and _kernel_dtype(x) and not x.flags.c_contiguous:
        (n, c, h, w), last = x.shape, x.transpose(0, 2, 3, 1)
        if last.flags.c_contiguous:
            y = empty((n, c * h * w), x.dtype)
            transpose.transpose(last.reshape(n, h * w, c), y.reshape(n, c, h * w))
            return y
    return np.ascontiguousarray(x.reshape(len(x), prod(x.shape[1:])))


def copied(x: Array) -> Array:
    """Return a copy that lies like the result of `physical`; of images channels-last."""
    memory = physical(x)
    y = empty(memory.shape, x.dtype)
    y[...] = memory
    return logical(y)


def _kernel_dtype(x: Array) -> bool:
    """Return whether kernels take the dtype of ``x``."""
    return x.dtype.char in "fd" and x.dtype.isnative


def empty(shape: Shape, dtype: DTypeLike) -> Array:
    """Return an array with arbitrary content; a large one reuses memory of an earlier array.

    New memory costs a page fault per 4096 bytes at its first use, which takes as long as many
    kernels.

    Raises
    ------
    MemoryError
        If there is not enough memory.

    Examples
    --------
    >>> empty((2, 3), "float32").shape
    (2, 3)
    """
    count = prod(shape)
    if count < REUSED:
        try:
            return np.empty(shape, dtype)
        except ValueError:  # no entries, but extents beyond what NumPy counts in
            raise MemoryError(f"no memory for an array of shape {shape}") from None
    size = count * np.dtype(dtype).itemsize
    if size > sys.maxsize:
        raise MemoryError(f"no memory for an array of {size} bytes")
    memory: Any = Buffer(size)
    return np.ndarray(shape, dtype, memory)


def ignore_overflow() -> np.errstate:
    """Return a context in which results become infinite or NaN without a warning.

    The loss is checked for them.
    """
    return np.errstate(over="ignore", invalid="ignore", divide="ignore")


def float_dtype(dtype: DTypeLike) -> np.dtype[Any]:
    """Return ``dtype`` if it is float32 or float64.

    Raises
    ------
    ValueError
        If it is another dtype.
    """
    named = isinstance(dtype, str) and dtype in ("float32", "float64")
    try:  # NumPy knows more names, and warns of some of them
        found = np.dtype(dtype if named or isinstance(dtype, (type, np.dtype)) else object)
    except (TypeError, ValueError):
        found = np.dtype(object)
    if found not in (np.float32, np.float64):
        raise ValueError(f'dtype must be "float32" or "float64", got {dtype!r}')
    return found


def dtype_of(x: Array, who: str) -> np.dtype[Any]:
    """Return the dtype to compute in: float64 for float64 and wider floats, else float32.

    Raises
    ------
    TypeError
        If ``x`` does not hold real numbers.
    """
    if x.dtype.kind not in "fiu":
        raise TypeError(f"{who} takes real numbers, got an array of {x.dtype}")
    wide = x.dtype.kind == "f" and x.dtype.itemsize >= 8
    return np.dtype(np.float64 if wide else np.float32)


class FixedDict(dict[str, T]):
    """A dict whose entries stay the same objects, because others refer to the arrays in them.

    Examples
    --------
    >>> state = FixedDict({"m": np.zeros(2)})
    >>> state["m"] += 1
    >>> state["m"] = np.zeros(2)
    Traceback (most recent call last):
    TypeError: 'm' cannot be exchanged: write into its array, [...] = ...
    """

    def __setitem__(self, name: str, value: T) -> None:
        if self.get(name) is not value:  # after `+=` it is
            raise TypeError(f"{name!r} cannot be exchanged: write into its array, [...] = ...")

    def _refuse(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError("no entry can be added or removed: write into the arrays, [...] = ...")

    __delitem__ = pop = popitem = clear = update = setdefault = __ior__ = _refuse

    def __reduce__(self) -> tuple[type, tuple[dict[str, T]]]:
        return FixedDict, (dict(self),)
