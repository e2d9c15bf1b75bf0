"""The format of safetensors files: the header, checked with or without the package of that name.

https://huggingface.co/docs/safetensors describes it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ._arrays import Array
from ._check import shown, whole

CODES = {"float32": "F32", "float64": "F64", "int64": "I64", "uint64": "U64"}
DTYPES = {code: np.dtype(name) for name, code in CODES.items()}


def check_by_safetensors(path: Path) -> None:
    """Raise ValueError if the package safetensors refuses the header of a file.

    In a browser the package may be absent: `header_of` and `checked_entries` check the same, but
    cannot tell whether both read a file in the same way.
    """
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError:
        return
    try:
        with safe_open(path, framework="numpy"):
            pass
    except SafetensorError as error:
        raise ValueError(str(error)) from error


def header_of(text: bytes) -> dict[str, Any]:
    """Return a header: entries of arrays by name, and ``__metadata__``, texts by name.

    Raises
    ------
    ValueError, RecursionError
        If it is something else.
    """
    header = json.loads(text.decode())
    if not isinstance(header, dict):
        raise ValueError(f"its header must be a JSON object, got {shown(header)}")
    "".join(header).encode()  # half of a surrogate pair is no text
    metadata = header.get("__metadata__")
    texts = isinstance(metadata, dict) and all(isinstance(v, str) for v in metadata.values())
    if metadata is not None and not texts:
        raise ValueError(f"its __metadata__ must be texts by name, got {shown(metadata)}")
    return header


def checked_entries(
    header: Mapping[str, Any], nbytes: int, dtypes: Mapping[str, np.dtype[Any]] = DTYPES
) -> dict[str, Any]:
    """Return the entries of arrays in a header, in the order of their bytes.

    The header that safetensors has checked may be another: somebody may replace the file between
    the two.

    Raises
    ------
    LookupError, MemoryError, TypeError, ValueError
        If they are not those of arrays, one after the other, of ``nbytes`` bytes together.
    """
    entries, end = {}, 0
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        code, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
        first, last = (whole(offset, "an offset", 0) for offset in offsets)
        if code not in dtypes:
            raise ValueError(f"it has {shown(name)} of dtype {shown(code)}")
        size = math.prod(whole(extent, "an extent", 0) for extent in shape)
        if first != end or last != first + size * dtypes[code].itemsize:
            raise ValueError(f"the bytes of {shown(name)} are not where they must be")
        entries[name], end = entry, whole(last, "the end of an array", 0, nbytes)
    if end != nbytes:
        raise ValueError(f"it has {nbytes} bytes of arrays, {end} are named")
    return entries


def load_arrays(path: Path) -> dict[str, Array]:
    """Return all arrays of a file that comes with deepfs; they can only be read."""
    content = path.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    header = header_of(content[8:start])
    header.pop("__metadata__", None)
    dtypes = DTYPES | {"F16": np.dtype(np.float16)}
    arrays = {}
    for name, entry in checked_entries(header, len(content) - start, dtypes).items():
        shape, begin = entry["shape"], start + entry["data_offsets"][0]
        found = np.frombuffer(content, dtypes[entry["dtype"]], math.prod(shape), begin)
        arrays[name] = found.reshape(shape)
    return arrays
