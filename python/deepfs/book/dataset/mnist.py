"""`load_mnist`, with the arguments of the book's ``dataset/mnist.py``."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from ... import datasets
from ..._arrays import Array
from ..common._networks import load_pickle

__all__ = ["load_mnist", "np"]

FILES = (
    "train-images-idx3-ubyte", "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte",
)  # fmt: skip
KEYS = "train_img", "train_label", "test_img", "test_label"  # of the book's mnist.pkl


class _Place:
    folder: Path | None = None


def look_in(folder: str | os.PathLike[str]) -> None:
    """Let `load_mnist` look for the files in a folder first, that of the book's ``dataset/``."""
    _Place.folder = Path(folder)


def present(folder: Path) -> str:
    """Return "files" if a folder has the four files of MNIST, "pickle" for mnist.pkl, else ""."""
    names = {path.name.removesuffix(".gz").replace(".idx", "-idx") for path in folder.glob("*")}
    if names.issuperset(FILES):
        return "files"
    return "pickle" if "mnist.pkl" in names else ""


def load_mnist(
    normalize: bool = True, flatten: bool = True, one_hot_label: bool = False
) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """Return the training and test images and labels of MNIST.

    Parameters
    ----------
    normalize : bool
        float32 from 0 to 1, or bytes from 0 to 255.
    flatten : bool
        Rows of 784 pixels, or images (n, 1, 28, 28).
    one_hot_label : bool
        Rows with a 1 at the right class, or labels, uint8.

    Raises
    ------
    FileNotFoundError
        If MNIST is nowhere, and cannot be downloaded.

    Notes
    -----
    The files are those in the student's ``dataset/`` (the four of MNIST, or the ``mnist.pkl`` that
    the book's script writes), else those of `deepfs.datasets.mnist`: in ``$DEEPFS_DATA/mnist``, or
    downloaded once.

    Examples
    --------
    >>> (x_train, t_train), (x_test, t_test) = load_mnist()  # doctest: +SKIP
    >>> x_train.shape, t_train.shape  # doctest: +SKIP
    ((60000, 784), (60000,))
    """
    (x, t), (xt, tt) = _read()
    return (
        (_images(x, normalize, flatten), _labels(t, one_hot_label)),
        (_images(xt, normalize, flatten), _labels(tt, one_hot_label)),
    )


def _read() -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """Return images as bytes and labels, from the first place that has them."""
    folder = _Place.folder
    kind = present(folder) if folder else ""
    if folder and kind == "pickle":
        path = folder / "mnist.pkl"
        found = load_pickle(path)
        if not isinstance(found, dict) or not found.keys() >= set(KEYS):
            raise ValueError(f"{path} must have {', '.join(KEYS)}: remove it, it is made anew")
        return (found[KEYS[0]], found[KEYS[1]]), (found[KEYS[2]], found[KEYS[3]])
    try:
        return datasets.mnist(folder if kind else None, "uint8")
    except (OSError, ImportError) as error:
        raise FileNotFoundError(
            f"load_mnist needs MNIST: put its four files ({', '.join(FILES)}, .gz or not) into "
            f"{folder or 'a folder mnist'}, or set DEEPFS_DATA to the folder above a folder "
            f"mnist with them; {error}"
        ) from error


def _images(x: Array, normalize: bool, flatten: bool) -> Array:
    x = x.reshape((-1, 784) if flatten else (-1, 1, 28, 28))
    return np.divide(x, 255.0, dtype=np.float32) if normalize else np.array(x)


def _labels(t: Array, one_hot: bool) -> Array:
    return np.eye(10)[t] if one_hot else t.astype(np.uint8)
