"""Files of arrays: the safetensors format, written atomically, with checksums.

A file has eight bytes with the length of a header, the header in JSON, and the arrays in C order.
Any safetensors reader opens it; its metadata also hold a checksum of each array. Files are written
and read piece by piece, so a whole file is never held in memory.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO
from zlib import crc32

import numpy as np

from .._arrays import Array
from .._safetensors import CODES, DTYPES, check_by_safetensors, checked_entries, header_of

try:
    import fcntl
except ImportError:  # Windows, which keeps a file that is open from being removed
    fcntl = None  # type: ignore[assignment]

# Enough for 3,500 norms with Adam's state. As Python objects, entries of arrays take up to 10 times
# as much memory as their text, a description 25 times: hence 64 MB at most, see `deepfs.load`.
MAX_HEADER_BYTES = 2**22
MAX_DESCRIPTION_BYTES = 2**20
PIECE_BYTES = 2**20  # bytes
TEMPORARY = re.compile(r"\.deepfs-[0-9a-f]{16}\.tmp")  # files that are being written
ASIDE = os.O_NONBLOCK | os.O_NOFOLLOW if hasattr(os, "O_NOFOLLOW") else 0
KINDS_OF_FILES = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class CheckpointError(Exception):
    """Raised for a file that is not a model this version of deepfs can read."""


def write(
    path: str | Path,
    arrays: Mapping[str, Array],
    description: Any,
    again: Callable[[], Any] | None = None,
) -> None:
    """Write arrays and a description to a file atomically.

    They are written to a temporary file in the same folder, which is renamed once it is on the
    disk. Temporary files of dead processes in the folder are removed.

    Parameters
    ----------
    path : str or Path
        The file. If anything is raised, an earlier file of that name is kept. A symbolic link is
        followed. A file that is replaced keeps its mode, and its owner and group where the system
        allows it; the umask decides about a new one.
    arrays : dict of array
        float32, float64, int64 or uint64, in any layout.
    description : dict, list, str, number or None
        Anything else to keep, in a form for JSON.
    again : function, optional
        Returns the description again when all arrays have been written; it must be the same.

    Raises
    ------
    FileNotFoundError
        If the folder does not exist.
    OSError
        If the file cannot be written, or is no regular file.
    RuntimeError
        If an array or the description has changed meanwhile, as when another thread trains.
    TypeError, ValueError
        If an array is of another dtype, or there are too many arrays.
    """
    target, earlier = destination(Path(path).expanduser())
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
    if len(head) > MAX_HEADER_BYTES or len(text) > MAX_DESCRIPTION_BYTES:
        raise ValueError(
            f"{path} would need a header of {len(head)} bytes for {len(arrays)} arrays, at most "
            f"{MAX_HEADER_BYTES} are read, and {len(text)} bytes for layers and settings, at most "
            f"{MAX_DESCRIPTION_BYTES} are read"
        )
    remove_orphans(target.parent)
    with replacing(target, earlier) as file:
        file.write(len(head).to_bytes(8, "little") + head)
        for name, wanted in zip(names, checks[1:], strict=True):
            check = check_of(name, header[name])
            for piece in pieces(arrays[name]):
                held = bytes(piece)  # what is summed is what is written, whatever others write
                check = crc32(held, check)
                file.write(held)
            if check != wanted:
                raise changed(path, f"the array {name!r}")
        # No array has changed between its sum and its bytes, so none has between the first and the
        # second loop: the file holds the arrays of one moment.
        if again is not None and json.dumps(again()) != text:
            raise changed(path, "the number of steps or a setting")


def changed(path: str | Path, what: str) -> RuntimeError:
    """Return the error about a model that another thread trains while it is saved."""
    return RuntimeError(
        f"{path} has not been written: {what} changed meanwhile; save a model in the thread that "
        "trains it (a callback, for instance), or when the training is over"
    )


def destination(path: Path) -> tuple[Path, os.stat_result | None]:
    """Return the file to replace, links followed, and what is known of it if it exists.

    Raises
    ------
    OSError
        If there is no such folder, or something that is no regular file has this name.
    """
    target = Path(os.path.realpath(path))
    if not target.parent.is_dir():
        raise FileNotFoundError(f"{path}: there is no folder {target.parent}")
    try:
        earlier = target.stat()
    except FileNotFoundError:
        return target, None
    if stat.S_ISDIR(earlier.st_mode):
        raise IsADirectoryError(f"{path} is a folder, a model is saved to a file")
    if not stat.S_ISREG(earlier.st_mode):
        kind = KINDS_OF_FILES.get(stat.S_IFMT(earlier.st_mode), "no regular file")
        raise OSError(f"{path} is {kind}, a model is saved to a regular file")
    return target, earlier


def check_of(name: str, entry: Mapping[str, Any]) -> int:
    """Return the checksum of an array's entry in the header, to which its bytes are added."""
    return crc32(json.dumps([name, entry["dtype"], entry["shape"]]).encode())


def pieces(array: Array) -> Iterator[memoryview]:
    """Yield the bytes of an array in C order, from a copy if it is not C-contiguous."""
    content = np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
    for start in range(0, len(content), PIECE_BYTES):
        yield content[start : start + PIECE_BYTES]


@contextlib.contextmanager
def replacing(path: Path, earlier: os.stat_result | None) -> Iterator[BinaryIO]:
    """Open a temporary file; rename it to ``path`` once it is on the disk, or remove it on errors.

    The writer holds a lock on it. The system releases the lock when a process dies, so
    `remove_orphans` can tell. A file may be removed as an orphan before it is locked: then another
    is made. While it is written, only its owner can read what will replace an ``earlier`` file.
    """
    import secrets  # takes 4 ms, and reading needs none

    while True:
        temporary = path.with_name(f".deepfs-{secrets.token_hex(8)}.tmp")
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
            handle = os.open(temporary, flags, 0o666 if earlier is None else 0o600)
        except OSError as error:
            raise OSError(
                error.errno, f"{error.strerror}: {path.name} cannot be written in", str(path.parent)
            ) from None
        file = os.fdopen(handle, "wb")
        lock(file, wait=True)
        if os.fstat(file.fileno()).st_nlink:
            break
        file.close()
    try:
        with file:
            yield file
            if earlier is not None:
                take_over(temporary, earlier)
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


def take_over(temporary: Path, earlier: os.stat_result) -> None:
    """Give a file the mode of another, and its owner and group if they differ and this is allowed.

    Where the group cannot be kept, it loses its rights: they were those of another group.
    """
    mode, made = stat.S_IMODE(earlier.st_mode), temporary.stat()
    if hasattr(os, "chown"):
        if made.st_gid != earlier.st_gid:
            try:
                os.chown(temporary, -1, earlier.st_gid)
            except OSError:
                mode &= ~stat.S_IRWXG
        if made.st_uid != earlier.st_uid:
            with contextlib.suppress(OSError):
                os.chown(temporary, earlier.st_uid, -1)
    os.chmod(temporary, mode)


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
    """Remove temporary files of this user's processes that have died, and nothing else.

    The folder may be shared: whatever else has such a name (a FIFO, a link, a file of another
    user) is neither waited for nor removed.
    """
    with contextlib.suppress(OSError):  # a folder that may be written, but not listed
        for name in os.listdir(folder):
            if TEMPORARY.fullmatch(name):
                with contextlib.suppress(OSError):
                    remove_orphan(folder / name)


def remove_orphan(path: Path) -> None:
    """Remove a file if it is a regular file of this user, and nobody has locked it."""
    if not stat.S_ISREG(path.lstat().st_mode):
        return
    with open(os.open(path, os.O_RDONLY | ASIDE), "rb") as file:
        found = os.fstat(file.fileno())
        mine = not hasattr(os, "geteuid") or found.st_uid == os.geteuid()
        if stat.S_ISREG(found.st_mode) and mine and lock(file):
            path.unlink()


def sync_folder(folder: Path) -> None:
    """Write the directory entries of a folder to the disk, where the system supports it."""
    if fcntl is None:
        return
    try:
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:  # the file is there; some systems and folders do not offer more
        if error.errno in (errno.EIO, errno.ENOSPC, getattr(errno, "EDQUOT", 0)):
            raise


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
        self.path = Path(path).expanduser()
        if not self.path.is_file():  # a FIFO, say, would be waited for
            other = ", but something that is no regular file" if self.path.exists() else ""
            raise FileNotFoundError(f"{path}: no such file{other}")
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

    def _header(self) -> dict[str, Any]:
        """Return the header, as it is; note where the arrays begin."""
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
            check_by_safetensors(self.path)
            header = header_of(self._file.read(length))
        except (ValueError, RecursionError) as error:
            raise CheckpointError(f"{self.path} is not a safetensors file: {error}") from error
        self._start = 8 + length
        self.nbytes = size - self._start
        return header

    def _open(self) -> None:
        header = self._header()
        metadata = header.pop("__metadata__", None) or {}
        try:
            text, checks = metadata["deepfs"], metadata["checksums"]
            for part in (text, checks):
                if len(part) > MAX_DESCRIPTION_BYTES:
                    raise CheckpointError(f"{self.path} has a description of {len(part)} bytes, at "
                                          f"most {MAX_DESCRIPTION_BYTES} are read")  # fmt: skip
            self.description, checks = json.loads(text), json.loads(checks)
        except (KeyError, RecursionError, TypeError, ValueError) as error:
            raise CheckpointError(
                f"{self.path} is a safetensors file, but not a deepfs model; weights alone, as of "
                "PyTorch, are for model.load_weights(path)"
            ) from error
        try:
            self.entries = checked_entries(header, self.nbytes)
        except (LookupError, MemoryError, TypeError, ValueError) as error:
            raise CheckpointError(f"{self.path} is not a safetensors file: {error}") from error
        if not isinstance(checks, list) or len(checks) != 1 + len(self.entries):
            raise CheckpointError(f"{self.path} is damaged: not a checksum for each array")
        if crc32(text.encode()) != checks[0]:
            raise CheckpointError(f"{self.path} is damaged: its description has changed")
        for (name, entry), wanted in zip(self.entries.items(), checks[1:], strict=True):
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
