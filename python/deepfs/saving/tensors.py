"""Files of arrays: the safetensors format, written atomically, with checksums.

A file has eight bytes with the length of a header, the header in JSON, and the arrays in C order.
Any safetensors reader opens it; its metadata also hold a checksum of each array. Files are written
and read piece by piece, so a whole file is never held in memory.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO
from zlib import crc32

import numpy as np

from .._arrays import Array

try:
    import fcntl
except ImportError:  # Windows, which keeps a file that is open from being removed
    fcntl = None  # type: ignore[assignment]

MAX_HEADER_BYTES = 2**20  # bytes; its JSON may take 25 times as much memory
PIECE_BYTES = 2**20  # bytes
TEMPORARY = ".deepfs-"  # prefix of files that are being written
CODES = {"float32": "F32", "float64": "F64", "int64": "I64", "uint64": "U64"}
DTYPES = {code: np.dtype(name) for name, code in CODES.items()}


class CheckpointError(Exception):
    """Raised for a file that is not a model this version of deepfs can read."""


def write(path: str | Path, arrays: Mapping[str, Array], description: Any) -> None:
    """Write arrays and a description to a file atomically.

    They are written to a temporary file in the same folder, which is renamed once it is on the
    disk. Temporary files of dead processes in the folder are removed.

    Parameters
    ----------
    path : str or Path
        The file. If anything is raised, an earlier file of that name is kept.
    arrays : dict of array
        float32, float64, int64 or uint64, in any layout.
    description : dict, list, str, number or None
        Anything else to keep, in a form for JSON.

    Raises
    ------
    FileNotFoundError
        If the folder does not exist.
    OSError
        If the file cannot be written.
    TypeError, ValueError
        If an array is of another dtype, or there are too many arrays.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path}: there is no folder {path.parent}")
    text = json.dumps(description)
    header: dict[str, Any] = {}
    checks, start = [crc32(text.encode())], 0
    names = sorted(arrays, key=lambda name: (-arrays[name].dtype.itemsize, name))  # all aligned
    for name in names:
        array = arrays[name]
        if array.dtype.name not in CODES:
            raise TypeError(f"a file takes {', '.join(CODES)}, got {name!r} of {array.dtype}")
        header[name] = {
            "dtype": CODES[array.dtype.name],
            "shape": list(array.shape),
            "data_offsets": [start, start + array.nbytes],
        }
        start += array.nbytes
        check = check_of(name, header[name])
        for piece in pieces(array):
            check = crc32(piece, check)
        checks.append(check)
    header["__metadata__"] = {"deepfs": text, "checksums": json.dumps(checks)}
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)
    if len(head) > MAX_HEADER_BYTES:
        raise ValueError(f"{path} would need a header of {len(head)} bytes for {len(arrays)} "
                         f"arrays, at most {MAX_HEADER_BYTES} are read")  # fmt: skip
    remove_orphans(path.parent)
    with replacing(path) as file:
        file.write(len(head).to_bytes(8, "little") + head)
        for name in names:
            for piece in pieces(arrays[name]):
                file.write(piece)


def check_of(name: str, entry: Mapping[str, Any]) -> int:
    """Return the checksum of an array's entry in the header, to which its bytes are added."""
    return crc32(json.dumps([name, entry["dtype"], entry["shape"]]).encode())


def pieces(array: Array) -> Iterator[memoryview]:
    """Yield the bytes of an array in C order, from a copy if it is not C-contiguous."""
    content = np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
    for start in range(0, len(content), PIECE_BYTES):
        yield content[start : start + PIECE_BYTES]


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a temporary file; rename it to ``path`` once it is on the disk, or remove it on errors.

    The writer holds a lock on it. The system releases the lock when a process dies, so
    `remove_orphans` can tell. A file may be removed as an orphan before it is locked: then another
    is made.
    """
    while True:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=TEMPORARY)
        file = os.fdopen(handle, "wb")
        lock(file, wait=True)
        if os.fstat(file.fileno()).st_nlink:
            break
        file.close()
    try:
        with file:
            yield file
            umask = os.umask(0)
            os.umask(umask)
            os.chmod(temporary, 0o666 & ~umask)  # mkstemp makes it readable by its owner alone
            file.flush()
            os.fsync(file.fileno())
            if fcntl is not None:
                os.replace(temporary, path)
        if fcntl is None:
            os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    sync_folder(path.parent)


def lock(file: BinaryIO, wait: bool = False) -> bool:
    """Lock a file for this process; return False if another process has locked it."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        return False
    return True


def remove_orphans(folder: Path) -> None:
    """Remove temporary files of processes that have died."""
    for orphan in folder.glob(f"{TEMPORARY}*"):
        with contextlib.suppress(OSError), orphan.open("rb") as file:
            if lock(file):
                orphan.unlink()


def sync_folder(folder: Path) -> None:
    """Write the directory entries of a folder to the disk, where the system supports it."""
    if fcntl is not None:
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


class TensorFile:
    """A file that `write` wrote, opened, with all checksums compared.

    Parameters
    ----------
    path : str or Path
        The file.

    Attributes
    ----------
    description : object
        The description that was passed to `write`.
    entries : dict
        ``dtype``, ``shape`` and ``data_offsets`` of each array, by name.
    nbytes : int
        Number of bytes of all arrays.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    CheckpointError
        If it is not such a file, or a bit of it has changed.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise FileNotFoundError(f"{path}: no such file")
        self._file = self.path.open("rb")
        try:
            self._open()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> TensorFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def _open(self) -> None:
        from safetensors import SafetensorError, safe_open

        length = int.from_bytes(self._file.read(8), "little")
        size = os.fstat(self._file.fileno()).st_size
        if not 2 <= length <= size - 8:
            raise CheckpointError(f"{self.path} is not a safetensors file: it has {size} bytes, "
                                  f"and a header of {length}")  # fmt: skip
        if length > MAX_HEADER_BYTES:
            raise CheckpointError(
                f"{self.path} has a header of {length} bytes, at most {MAX_HEADER_BYTES} are read"
            )
        try:
            with safe_open(self.path, framework="numpy"):  # checks the header completely
                pass
            header = json.loads(self._file.read(length))
        except (SafetensorError, ValueError, RecursionError) as error:
            raise CheckpointError(f"{self.path} is not a safetensors file: {error}") from error
        metadata = header.pop("__metadata__", None) or {}
        try:
            text, checks = metadata["deepfs"], json.loads(metadata["checksums"])
            self.description = json.loads(text)
        except (KeyError, RecursionError, TypeError, ValueError) as error:
            raise CheckpointError(
                f"{self.path} is a safetensors file, but not a deepfs model"
            ) from error
        self.entries: dict[str, Any] = dict(
            sorted(header.items(), key=lambda item: item[1]["data_offsets"])
        )
        self._start = 8 + length
        self.nbytes = size - self._start
        if not isinstance(checks, list) or len(checks) != 1 + len(self.entries):
            raise CheckpointError(f"{self.path} is damaged: not a checksum for each array")
        if crc32(text.encode()) != checks[0]:
            raise CheckpointError(f"{self.path} is damaged: its description has changed")
        for (name, entry), wanted in zip(self.entries.items(), checks[1:], strict=True):
            if entry["dtype"] not in DTYPES:
                raise CheckpointError(f"{self.path} has {name!r} of dtype {entry['dtype']}")
            check = check_of(name, entry)
            for piece in self._pieces(entry, bytearray(PIECE_BYTES)):
                check = crc32(piece, check)
            if check != wanted:
                raise CheckpointError(f"{self.path} is damaged: the array {name!r} has changed")

    def dtype(self, name: str) -> np.dtype[Any]:
        """Return the dtype of an array."""
        return DTYPES[self.entries[name]["dtype"]]

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of an array."""
        return tuple(self.entries[name]["shape"])

    def read(self, name: str, out: Array | None = None) -> Array:
        """Return an array; read it into ``out``, of its shape and dtype, if that is given."""
        if out is None:
            out = np.empty(self.shape(name), self.dtype(name))
        whole = out if out.flags.c_contiguous else np.empty(out.shape, out.dtype)
        for _ in self._pieces(self.entries[name], whole.reshape(-1).view(np.uint8)):
            pass  # one, as large as the array
        if whole is not out:
            out[...] = whole
        return out

    def _pieces(self, entry: Mapping[str, Any], memory: Any) -> Iterator[memoryview]:
        """Yield the bytes of an array in pieces, each read into ``memory``."""
        memory = memoryview(memory)
        begin, end = entry["data_offsets"]
        self._file.seek(self._start + begin)
        while begin < end:
            piece = memory[: end - begin]
            if self._file.readinto(piece) != len(piece):  # it has been cut since it was opened
                raise CheckpointError(f"{self.path} ends too early")
            begin += len(piece)
            yield piece
