"""Fingerprints: short texts by which ranks find out that their data differ."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any
from zlib import crc32

import numpy as np

from .._arrays import Array
from .._trees import leaves
from ..data.batches import Batch, DataSet, Stream, unprepared
from ..data.loader import Loader

IN_MEMORY = 2**28  # bytes of inputs that are read where they are in memory
ON_DISK = 64  # samples that are read where they are files
CHUNK = 2**24  # bytes at a time


def of_data(data: DataSet | Stream | None) -> str | None:
    """Return a fingerprint of inputs, targets and weights; of an iterable, that of its first batch.

    All samples of up to 256 MB are read; of more, some from all over; of files, 64.
    """
    if data is None:
        return None
    if isinstance(data, Stream):
        return of_arrays(dict(enumerate(_arrays(data.look()))))
    raw = unprepared(data)
    one = raw.take(np.zeros(1, np.int64))
    size = max(1, sum(leaf.nbytes for leaf in _arrays(one)))
    of_files = isinstance(raw, Loader) and not raw.source.in_memory
    count = min(raw.samples, ON_DISK if of_files else max(ON_DISK, IN_MEMORY // size))
    numbers = np.linspace(0, raw.samples - 1, count).astype(np.int64)
    digest, step = blake2b(digest_size=16), max(1, CHUNK // size)
    for start in range(0, count, step):
        for leaf in _arrays(raw.take(numbers[start : start + step])):
            digest.update(_bytes(leaf))
    return digest.hexdigest()


def of_arrays(arrays: Mapping[Any, Array]) -> str:
    """Return a fingerprint of arrays and their names."""
    digest = blake2b(digest_size=16)
    for name, array in arrays.items():
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(_bytes(array))
    return digest.hexdigest()


def of_batch(batch: Batch) -> int:
    """Return a number that is most likely another one for another batch."""
    number = 0
    for leaf in _arrays(batch):
        number = crc32(_bytes(leaf), number)
    return number


def _arrays(batch: Batch) -> list[Array]:
    return [leaf for tree in batch if tree is not None for leaf in leaves(tree)]


def _bytes(array: Array) -> memoryview:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def first_difference(mine: Any, theirs: Any, name: str = "") -> tuple[str, Any, Any] | None:
    """Return the name and both values of the first place where two descriptions differ, or None."""
    if isinstance(mine, dict) and isinstance(theirs, dict):
        for key in dict.fromkeys([*mine, *theirs]):
            inner = f"{name}.{key}" if name else str(key)
            found = first_difference(mine.get(key), theirs.get(key), inner)
            if found is not None:
                return found
        return None
    if isinstance(mine, list) and isinstance(theirs, list) and len(mine) == len(theirs):
        for number, (a, b) in enumerate(zip(mine, theirs, strict=True)):
            found = first_difference(a, b, f"{name}[{number}]")
            if found is not None:
                return found
        return None
    alike = mine == theirs or (mine != mine and theirs != theirs)  # NaN is the same as NaN
    return None if alike else (name, mine, theirs)
