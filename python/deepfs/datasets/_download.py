"""Cached downloads from several mirrors, checked by SHA-256, limited in size and time."""

from __future__ import annotations

import errno
import os
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

_TIMEOUT = 30.0  # seconds to connect, and between two pieces of an answer
_SLOWEST = 10_000  # bytes per second, on average, from 2 _TIMEOUT on
_CHUNK = 1 << 16  # bytes
_MOST = 1 << 28  # bytes of a file whose size is not known


class _MirrorError(Exception):
    """What was wrong with a mirror, in words. Another may do better."""


def fetch(
    dataset: str, file: str, sha256: str, mirrors: Sequence[str], size: int | None = None
) -> Path:
    """Return a file of a data set from the cache, downloading it if it is not there.

    Parameters
    ----------
    dataset : str
        Name of the data set: its folder in the cache.
    file : str
        Name of the file, in the cache and on the mirrors.
    sha256 : str
        The file's checksum, 64 hexadecimal digits. A cached file that does not match is replaced.
    mirrors : sequence of str
        URLs that end in a slash, tried in this order, but those with https before all others.
    size : int, optional
        Number of bytes of the file. No mirror may send more. By default 256 MiB.

    Returns
    -------
    pathlib.Path
        The file, checked, in ``$DEEPFS_CACHE/dataset`` or else in the user's cache folder.

    Raises
    ------
    ImportError
        If pooch is not installed.
    ConnectionError
        If no mirror gave the right file; each is named with its reason.
    OSError
        If the file cannot be written. Then no other mirror is asked.
    """
    try:
        import pooch  # type: ignore[import-untyped, unused-ignore]
    except ImportError as error:
        raise ImportError(f"downloading {dataset} needs pooch: pip install pooch") from error

    if len(sha256) != 64:  # without it, whatever a mirror sends would be taken for the file
        raise ValueError(f"{file} needs a SHA-256 of 64 digits, got {sha256!r}")
    folder = Path(os.environ.get("DEEPFS_CACHE") or pooch.os_cache("deepfs")) / dataset
    path, most = folder / file, _MOST if size is None else size
    if path.exists() and not path.is_file():  # pooch would wait for a FIFO
        raise FileExistsError(f"{path} must be a file or nothing, got something else")
    reasons = []
    for mirror in sorted(mirrors, key=lambda url: not url.startswith("https://")):
        download = _Download(file, most)
        try:
            # pooch writes to a temporary file and moves it into place once the checksum fits
            return Path(pooch.retrieve(mirror + file, sha256, file, folder, downloader=download))
        except _MirrorError as error:
            reason = str(error)
        except ValueError:
            reason = "wrong checksum"
        except OSError as error:
            if error.errno not in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)):
                raise
            raise OSError(
                error.errno,
                f"{error.strerror}: {dataset} needs {most / 1e6:.1f} MB for {file} in {folder}; "
                "set DEEPFS_CACHE to a folder with more space",
            ) from error
        reasons.append(f"{mirror} ({reason})")
    raise ConnectionError(
        f"{dataset} could not download {file} from {' or '.join(reasons)}; put the data set's "
        f"files in a folder and pass root=, or set DEEPFS_DATA to the parent of a folder {dataset}"
    )


class _Download:
    """Download one file to a temporary one, as a function that `pooch.retrieve` calls.

    A mirror that drips can hold any call that reads, be it for the header, so another thread reads,
    and this one looks at what has arrived. A thread that is given up holds a connection until its
    mirror ends it, or the process ends, and writes nothing.
    """

    def __init__(self, file: str, most: int) -> None:
        self.file, self.most = file, most
        self.received = 0
        self.given_up = threading.Event()
        self.error: BaseException | None = None

    def __call__(self, url: str, output_file: str, _: Any) -> None:
        with open(output_file, "wb") as file:
            reader = threading.Thread(target=self._run, args=(url, file), daemon=True)
            try:
                reader.start()
                self._watch(reader)
            finally:
                self.given_up.set()
        if self.error is not None:
            raise self.error

    def _watch(self, reader: threading.Thread) -> None:
        """Show what arrives until it has arrived; raise _MirrorError if it comes too slowly."""
        terminal = sys.stderr is not None and sys.stderr.isatty()
        began = time.monotonic()
        if terminal:
            from tqdm import tqdm

            bar = tqdm(total=self.most, desc=self.file, unit="B", unit_scale=True, ncols=79)
        while reader.is_alive():
            reader.join(0.1)
            if terminal:
                bar.update(self.received - bar.n)
            late = time.monotonic() - began - 2 * _TIMEOUT  # the calls have time to say why
            if late > 0 and self.received < late * _SLOWEST and reader.is_alive():
                raise _MirrorError(f"slower than {_SLOWEST // 1000} kB/s")
        if terminal:
            bar.update(self.received - bar.n)
            bar.close()

    def _run(self, url: str, file: BinaryIO) -> None:
        try:
            self._read(url, file)
        except BaseException as error:
            self.error = error

    def _read(self, url: str, file: BinaryIO) -> None:
        """Write the body of an answer to a file, piece by piece.

        The body is taken as it is sent: one that is compressed on the way could grow without end.
        """
        import requests

        headers = {"Accept-Encoding": "identity"}
        try:
            with requests.get(url, stream=True, timeout=_TIMEOUT, headers=headers) as answer:
                if answer.status_code != 200:
                    raise _MirrorError(f"HTTP {answer.status_code}")
                if answer.headers.get("Content-Encoding", "identity") != "identity":
                    raise _MirrorError("compressed on the way")
                length = answer.headers.get("Content-Length", "")
                if length.isdecimal() and int(length[:20]) > self.most:
                    raise _MirrorError(f"{length[:20]} bytes, at most {self.most} are right")
                for piece in answer.iter_content(_CHUNK):
                    if self.given_up.is_set():
                        return
                    self.received += len(piece)
                    if self.received > self.most:
                        raise _MirrorError(f"more than the {self.most} bytes that are right")
                    try:
                        file.write(piece)
                        file.flush()
                    except ValueError:  # closed since
                        return
                    except OSError as error:
                        raise _DiskError(error) from error
        except _DiskError as error:
            raise error.args[0] from None
        except (OSError, ValueError) as error:  # as all errors of requests are
            raise _MirrorError(type(error).__name__) from error


class _DiskError(Exception):
    """Holds an OSError of writing, among those of the network."""
