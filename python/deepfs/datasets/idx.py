"""The IDX format: type code, rank, sizes, data; all big endian, alone or inside gzip."""

from __future__ import annotations

import math
import os
import struct
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from gzip import GzipFile
    from io import BufferedReader

    from numpy.typing import NDArray

_DTYPES: dict[int, np.dtype[Any]] = {
    0x08: np.dtype(np.uint8),
    0x09: np.dtype(np.int8),
    0x0B: np.dtype(np.int16),
    0x0C: np.dtype(np.int32),
    0x0D: np.dtype(np.float32),
    0x0E: np.dtype(np.float64),
}
_CODES = {dtype: code for code, dtype in _DTYPES.items()}
_MAX_RANK = 4
_MAX_DEFLATE_RATIO = 1032  # deflate spends at least 2 bits on its longest match, 258 bytes
_CHUNK = 1 << 20


def read_idx(path: str | os.PathLike[str]) -> NDArray[Any]:
    """Read an array from an IDX file, gzipped or plain.

    Parameters
    ----------
    path : str or path-like
        The file. Whether it is gzipped is decided by its first bytes, not by its name.

    Returns
    -------
    numpy.ndarray
        Rank 1 to 4; uint8, int8, int16, int32, float32 or float64 in native byte order; writable
        and C-contiguous.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no regular file, no IDX file, truncated, oversized, or corrupt inside its gzip
        wrapper.

    Notes
    -----
    Memory grows with the data that is really there, never with what a header promises.

    References
    ----------
    Y. LeCun, C. Cortes, C. J. C. Burges, The MNIST database of handwritten digits, section
    "File formats", http://yann.lecun.com/exdb/mnist/.

    Examples
    --------
    >>> import tempfile, os
    >>> import numpy as np
    >>> from deepfs.datasets import read_idx, write_idx
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "digits-idx2-short.gz")
    ...     write_idx(path, np.array([[1, 2, 3], [4, 5, 6]], np.int16))
    ...     read_idx(path)
    array([[1, 2, 3],
           [4, 5, 6]], dtype=int16)
    """
    import gzip
    import zlib

    name = os.fspath(path)
    if os.path.exists(name) and not os.path.isfile(name):  # a FIFO would be waited for
        raise ValueError(f"{name} must be a regular file")
    with open(name, "rb") as file:
        gzipped = file.read(2) == b"\x1f\x8b"
    try:
        with gzip.open(name) if gzipped else open(name, "rb") as file:
            return _read_array(file, name)
    except EOFError:
        raise ValueError(f"{name} is truncated: its gzip checksum is missing") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{name} is corrupt inside its gzip wrapper: {error}") from error


def write_idx(path: str | os.PathLike[str], array: NDArray[Any]) -> None:
    r"""Write an array to an IDX file, gzipped if the name ends in ``.gz``.

    Parameters
    ----------
    path : str or path-like
        The file. One that exists is replaced.
    array : numpy.ndarray
        Rank 1 to 4; uint8, int8, int16, int32, float32 or float64.

    Raises
    ------
    TypeError
        If the format has no code for the array's dtype.
    ValueError
        If the rank is not 1 to 4, or a side has 2**32 elements or more.

    Notes
    -----
    The gzip wrapper carries no time and no name: equal arrays make equal files.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from deepfs.datasets import write_idx
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "labels-idx1-ubyte")
    ...     write_idx(path, np.array([7, 2, 1], np.uint8))
    ...     path.read_bytes()
    b'\x00\x00\x08\x01\x00\x00\x00\x03\x07\x02\x01'
    """
    import gzip

    name = os.fspath(path)
    code = _CODES.get(array.dtype.newbyteorder("="))
    if code is None:
        known = ", ".join(map(str, _CODES))
        raise TypeError(f"write_idx takes arrays of {known}, got {array.dtype}")
    if not 1 <= array.ndim <= _MAX_RANK or max(array.shape) >= 1 << 32:
        raise ValueError(f"write_idx takes rank 1 to {_MAX_RANK}, got shape {array.shape}")
    header = struct.pack(f">HBB{array.ndim}I", 0, code, array.ndim, *array.shape)
    data = array.astype(array.dtype.newbyteorder(">"), order="C", copy=False).tobytes()
    with open(name, "wb") as file:
        if name.endswith(".gz"):
            with gzip.GzipFile("", "wb", compresslevel=9, fileobj=file, mtime=0) as packed:
                packed.write(header + data)
        else:
            file.write(header + data)


def _read_array(file: GzipFile | BufferedReader, name: str) -> NDArray[Any]:
    """Read and check header, data, and that nothing follows."""
    magic = _read(file, 4)
    if len(magic) < 4 or magic[:2] != b"\0\0":
        raise ValueError(
            f"{name} is not an IDX file: it must start with two zero bytes, a type code and a "
            f"rank, got {bytes(magic)!r}"
        )
    code, rank = magic[2:]
    if code not in _DTYPES:
        known = ", ".join(f"0x{code:02x} ({dtype})" for code, dtype in _DTYPES.items())
        raise ValueError(f"{name} must have an IDX type code of {known}, got 0x{code:02x}")
    if not 1 <= rank <= _MAX_RANK:
        raise ValueError(f"{name} must have an IDX rank of 1 to {_MAX_RANK}, got {rank}")
    sizes = _read(file, 4 * rank)
    if len(sizes) < 4 * rank:
        raise ValueError(
            f"{name} is truncated: a header of rank {rank} has {4 + 4 * rank} bytes, "
            f"got {4 + len(sizes)}"
        )

    dtype, shape = _DTYPES[code], struct.unpack(f">{rank}I", sizes)
    if math.prod(side or 1 for side in shape) * dtype.itemsize > sys.maxsize:
        raise ValueError(f"{name} promises an array of shape {shape}, more than can be addressed")
    size = math.prod(shape) * dtype.itemsize
    promise = f"the header promises {size} bytes of data"
    length = os.path.getsize(name)
    if size > length * _MAX_DEFLATE_RATIO:
        raise ValueError(f"{name} is truncated: {promise}, a file of {length} bytes has fewer")
    data = _read(file, size)
    if len(data) < size:
        raise ValueError(f"{name} is truncated: {promise}, got {len(data)}")
    if file.read(1):  # also what makes gzip compare its checksum
        raise ValueError(f"{name} is oversized: {promise}, got more")
    array = np.frombuffer(data, dtype.newbyteorder(">")).reshape(shape)
    return array.astype(dtype, copy=False)


def _read(file: GzipFile | BufferedReader, size: int) -> bytearray:
    """Read ``size`` bytes, or what there is."""
    data = bytearray()
    with suppress(EOFError):  # a gzip file cut short: its length says so
        while len(data) < size and (chunk := file.read1(min(size - len(data), _CHUNK))):
            data += chunk
    return data
