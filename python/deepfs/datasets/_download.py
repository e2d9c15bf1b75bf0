"""Cached downloads from several mirrors, checked by SHA-256."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

_TIMEOUT = 30.0  # seconds to connect, and between two pieces of an answer


def fetch(dataset: str, file: str, sha256: str, mirrors: Sequence[str]) -> Path:
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
        URLs that end in a slash, tried in this order.

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
    """
    try:
        import pooch  # type: ignore[import-untyped, unused-ignore]
    except ImportError as error:
        raise ImportError(f"downloading {dataset} needs pooch: pip install pooch") from error

    folder = Path(os.environ.get("DEEPFS_CACHE") or pooch.os_cache("deepfs")) / dataset
    terminal = sys.stderr is not None and sys.stderr.isatty()
    downloader = pooch.HTTPDownloader(terminal, chunk_size=1 << 16, timeout=_TIMEOUT)
    reasons = []
    for mirror in mirrors:
        try:
            # pooch writes to a temporary file and moves it into place once the checksum fits
            return Path(pooch.retrieve(mirror + file, sha256, file, folder, downloader=downloader))
        except OSError as error:  # as all errors of requests are
            if error.errno is not None:  # a full disk, say: no other mirror helps
                raise
            response = getattr(error, "response", None)
            reason = type(error).__name__ if response is None else f"HTTP {response.status_code}"
        except ValueError:
            reason = "wrong checksum"
        reasons.append(f"{mirror} ({reason})")
    raise ConnectionError(
        f"{dataset} could not download {file} from {' or '.join(reasons)}; put the data set's "
        f"files in a folder and pass root=, or set DEEPFS_DATA to the parent of a folder {dataset}"
    )
