"""Change files inside a wheel, so that its RECORD agrees again and its bytes are reproducible."""

from __future__ import annotations

import base64
import hashlib
import os
import zipfile
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from unittest import mock

try:
    import deflate
except ImportError:
    deflate = None

# What has no time of its own gets this one, unless SOURCE_DATE_EPOCH says another.
EPOCH = 1767225600  # 1 January 2026, in seconds


def epoch() -> int:
    """Return the time, in seconds, of all that is packed."""
    return int(os.environ.get("SOURCE_DATE_EPOCH", EPOCH))


def contents(path: Path) -> dict[str, bytes]:
    """Return the files of a wheel."""
    with zipfile.ZipFile(path) as wheel:
        return {n: wheel.read(n) for n in wheel.namelist() if not n.endswith("/")}


def name_of(files: dict[str, bytes], file: str) -> str:
    """Return the name in the wheel of a file of its dist-info folder."""
    return next(n for n in files if n.count("/") == 1 and n.endswith(f".dist-info/{file}"))


def record(files: dict[str, bytes]) -> bytes:
    """Return the text of RECORD: each file's hash and size."""
    own = name_of(files, "RECORD")
    lines = []
    for name, data in files.items():
        if name != own:
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            lines.append(f"{name},sha256={digest},{len(data)}\n")
    return "".join([*lines, f"{own},,\n"]).encode()


def rewrite(path: Path, changes: dict[str, bytes]) -> None:
    """Put files into a wheel, new ones or others in their place.

    Names are sorted, times fixed and modes those of plain files: the same files are the same bytes.
    Where the package deflate (libdeflate) is installed, they are 3 % fewer.
    """
    files = contents(path) | changes
    files[name_of(files, "RECORD")] = b""
    files = dict(sorted(files.items(), key=lambda item: (".dist-info/" in item[0], item[0])))
    files[name_of(files, "RECORD")] = record(files)
    new = path.with_name(path.name + ".new")
    with (
        packing_closely(),
        zipfile.ZipFile(new, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as wheel,
    ):
        for name, data in files.items():
            info = zipfile.ZipInfo(name, zip_time())
            info.compress_type = zipfile.ZIP_DEFLATED
            info.create_system = 3  # Unix, on every system
            executable = ".so" in name or name.endswith((".dylib", ".pyd", ".dll"))
            info.external_attr = (0o100755 if executable else 0o100644) << 16
            wheel.writestr(info, data)
    os.replace(new, path)


class Closely:
    """A compressor that `zipfile` can use: libdeflate's highest level, on a whole file."""

    def __init__(self) -> None:
        self.data = bytearray()

    def compress(self, data: bytes) -> bytes:
        self.data += data
        return b""

    def flush(self) -> bytes:
        return bytes(deflate.deflate_compress(bytes(self.data), 12))


def packing_closely() -> AbstractContextManager[object]:
    """Let `zipfile` compress by libdeflate, if it is there; it has no public way to say so."""
    if deflate is None:
        return nullcontext()
    return mock.patch("zipfile._get_compressor", side_effect=lambda *_: Closely())


def zip_time() -> tuple[int, int, int, int, int, int]:
    """Return `epoch` as zip files write it; they know no earlier year than 1980."""
    import time

    year, *rest = time.gmtime(epoch())[:6]
    return (year, *rest) if year >= 1980 else (1980, 1, 1, 0, 0, 0)  # type: ignore[return-value]
