"""What a path means as data: a folder of pictures, a table, arrays, CIFAR or IDX files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from ..datasets.cifar import read_cifar
from ..datasets.folder import ImageFolder
from ..datasets.idx import read_idx
from ..datasets.tables import read_csv, read_npz

KNOWN = (
    "a folder of pictures, .npz, .csv, .bin or data_batch of CIFAR, or a pair of .npy or IDX files"
)


def read_path(path: str | os.PathLike[str]) -> ImageFolder | tuple[Any, Any, Any]:
    """Return a folder of pictures, or inputs, targets and class names of a file.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file, or nothing is known of its kind.
    """
    path = Path(path)
    if path.is_dir():
        return ImageFolder(path)
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file or folder")
    name, suffix = path.name.lower(), path.suffix.lower()
    if suffix == ".npz":
        return read_npz(path)
    if suffix in (".csv", ".tsv"):
        return read_csv(path)
    if suffix == ".npy" or is_idx(name):
        return array_in(path), None, None
    if suffix == ".bin" or name.startswith("data_batch") or name in ("test_batch", "train", "test"):
        return read_cifar(path)
    raise ValueError(f"Loader does not know the kind of {path}: it reads {KNOWN}")


def is_idx(name: str) -> bool:
    """Return whether a name is that of an IDX file."""
    return any(f"idx{rank}-" in name for rank in range(1, 5)) or name.endswith((".idx", ".idx.gz"))


def array_in(path: str | os.PathLike[str]) -> Any:
    """Return the array in an ``.npy`` file, which stays on the disk, or in an IDX file.

    Images without an axis of channels, as those of MNIST, get one.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file")
    if path.suffix.lower() == ".npy":
        try:
            return np.load(path, mmap_mode="r", allow_pickle=False)
        except Exception as error:  # a damaged file raises whatever its parser does
            raise ValueError(f"{path} must be an .npy file of numbers: {error}") from None
    array = read_idx(path)
    return array[:, None] if array.ndim == 3 else array
