"""The build backend: setuptools, with reproducible bytes and links that work on an index page.

pyproject.toml names it. A wheel is packed as setuptools does, with fixed times; an sdist is packed
again, because setuptools writes the time and the owner of each file of this machine. In both, the
relative links of the README, which is the long description, become links to this version's files.
"""

from __future__ import annotations

import gzip
import io
import os
import re
import tarfile
from pathlib import Path
from typing import Any

from setuptools import build_meta
from setuptools.build_meta import (
    build_editable,
    get_requires_for_build_editable,
    get_requires_for_build_sdist,
    get_requires_for_build_wheel,
    prepare_metadata_for_build_editable,
)

from rewrite_wheel import contents, epoch, name_of, rewrite

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_editable",
    "prepare_metadata_for_build_wheel",
]

LINK = re.compile(r"(\]\()(?![a-z]+:|#|/)([^)\s]+\))")  # of Markdown, to a file of the tree


def with_absolute_links(metadata: str) -> str:
    """Return core metadata whose description links to the repository, at the version's tag."""
    header, _, description = metadata.partition("\n\n")
    home = re.search(r"^Project-URL: Repository, (\S+)$", header, re.MULTILINE)
    version = re.search(r"^Version: (\S+)$", header, re.MULTILINE)
    if home is None or version is None:
        raise ValueError("pyproject.toml must name the project's URL 'Repository' and its version")
    base = f"{home[1]}/blob/v{version[1]}/"
    return header + "\n\n" + LINK.sub(lambda m: m[1] + base + m[2], description)


def prepare_metadata_for_build_wheel(folder: str, settings: Any = None) -> str:
    """Write the metadata of the wheel; see PEP 517."""
    name = build_meta.prepare_metadata_for_build_wheel(folder, settings)
    path = Path(folder, name, "METADATA")
    path.write_text(with_absolute_links(path.read_text("utf-8")), "utf-8")
    return name


def build_wheel(folder: str, settings: Any = None, metadata: str | None = None) -> str:
    """Build a wheel; see PEP 517."""
    os.environ["SOURCE_DATE_EPOCH"] = str(epoch())
    name = build_meta.build_wheel(folder, settings, metadata)
    path = Path(folder, name)
    files = contents(path)
    described = name_of(files, "METADATA")
    rewrite(path, {described: with_absolute_links(files[described].decode()).encode()})
    return name


def build_sdist(folder: str, settings: Any = None) -> str:
    """Build a source distribution; see PEP 517."""
    name = build_meta.build_sdist(folder, settings)
    path = Path(folder, name)
    packed = io.BytesIO()
    with tarfile.open(path) as old, tarfile.open(fileobj=packed, mode="w") as new:
        for member in sorted(old.getmembers(), key=lambda m: m.name):
            if ".egg-info" in member.name or member.name.endswith("/setup.cfg"):
                continue  # setuptools writes them anew, and lists one of them in the other
            source = old.extractfile(member)
            data = source.read() if source else b""
            if Path(member.name).name == "PKG-INFO":
                data = with_absolute_links(data.decode()).encode()
            member.size, member.mtime = len(data), epoch()
            member.uid = member.gid = 0
            member.uname = member.gname = ""
            member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
            member.pax_headers = {}
            new.addfile(member, io.BytesIO(data))
    with path.open("wb") as file, gzip.GzipFile("", "wb", 9, file, mtime=epoch()) as zipped:
        zipped.write(packed.getvalue())
    return name
