"""MNIST, Fashion-MNIST (same sizes, same file names) and the bundled subset of MNIST."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ._download import fetch
from .idx import read_idx

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Split = tuple[NDArray[Any], NDArray[np.int64]]

MNIST_CLASSES = ("0", "1", "2", "3", "4", "5", "6", "7", "8", "9")
FASHION_MNIST_CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag",
    "Ankle boot",
)  # fmt: skip
_SIDE = 28
_CLASSES = 10
_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
_MIRRORS = {
    "mnist": (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    "fashion_mnist": (
        "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    ),
}
# Of the .gz files as first published, in the order of _FILES.
_SHA256 = {
    "mnist": (
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    ),
    "fashion_mnist": (
        "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    ),
}
# Of the same, in bytes: no mirror may send more.
_SIZES = {
    "mnist": (9_912_422, 28_881, 1_648_877, 4_542),
    "fashion_mnist": (26_421_880, 29_515, 4_422_102, 5_148),
}


def mnist(
    root: str | os.PathLike[str] | None = None, dtype: str = "float32"
) -> tuple[Split, Split]:
    """Load MNIST: 60,000 training and 10,000 test images of handwritten digits.

    Parameters
    ----------
    root : str or path-like, optional
        Folder that holds the four IDX files, gzipped or plain. By default ``$DEEPFS_DATA/mnist``
        if that variable is set, else a folder in the user's cache (or in ``$DEEPFS_CACHE``), into
        which the files are downloaded once.
    dtype : {"float32", "float64", "uint8"}
        dtype of the images: floats in [0, 1], or raw bytes from 0 to 255.

    Returns
    -------
    (x, y), (xt, yt) : tuple of tuple of numpy.ndarray
        Training and test set: images ``(n, 1, 28, 28)``, labels ``(n,)`` int64, 0 to 9.

    Raises
    ------
    FileNotFoundError
        If the folder lacks a file.
    ValueError
        If ``dtype`` is another, or a file does not hold what its name says.
    ConnectionError
        If the files could not be downloaded.

    References
    ----------
    Y. LeCun, C. Cortes, C. J. C. Burges, The MNIST database of handwritten digits,
    http://yann.lecun.com/exdb/mnist/.

    Examples
    --------
    >>> from deepfs.datasets import mnist
    >>> (x, y), (xt, yt) = mnist()  # doctest: +SKIP
    >>> x.shape, y.shape, xt.shape, yt.shape  # doctest: +SKIP
    ((60000, 1, 28, 28), (60000,), (10000, 1, 28, 28), (10000,))
    """
    return _load("mnist", root, dtype)


def fashion_mnist(
    root: str | os.PathLike[str] | None = None, dtype: str = "float32"
) -> tuple[Split, Split]:
    """Load Fashion-MNIST: 60,000 training and 10,000 test images of clothing.

    Parameters
    ----------
    root : str or path-like, optional
        Folder that holds the four IDX files, gzipped or plain. By default
        ``$DEEPFS_DATA/fashion_mnist`` if that variable is set, else a folder in the user's cache
        (or in ``$DEEPFS_CACHE``), into which the files are downloaded once.
    dtype : {"float32", "float64", "uint8"}
        dtype of the images: floats in [0, 1], or raw bytes from 0 to 255.

    Returns
    -------
    (x, y), (xt, yt) : tuple of tuple of numpy.ndarray
        Training and test set: images ``(n, 1, 28, 28)``, labels ``(n,)`` int64, the numbers of
        ``FASHION_MNIST_CLASSES``: T-shirt/top, trouser, pullover, dress, coat, sandal, shirt,
        sneaker, bag, ankle boot.

    Raises
    ------
    FileNotFoundError
        If the folder lacks a file.
    ValueError
        If ``dtype`` is another, or a file does not hold what its name says.
    ConnectionError
        If the files could not be downloaded.

    References
    ----------
    H. Xiao, K. Rasul, R. Vollgraf, Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine
    Learning Algorithms, 2017, arXiv:1708.07747.

    Examples
    --------
    >>> from deepfs.datasets import fashion_mnist
    >>> (x, y), (xt, yt) = fashion_mnist(dtype="uint8")  # doctest: +SKIP
    """
    return _load("fashion_mnist", root, dtype)


def mnist_mini(dtype: str = "float32") -> tuple[Split, Split]:
    """Load the subset of MNIST that comes with deepfs: 5,000 training and 1,000 test images.

    Parameters
    ----------
    dtype : {"float32", "float64", "uint8"}
        dtype of the images: floats in [0, 1], or raw bytes from 0 to 255.

    Returns
    -------
    (x, y), (xt, yt) : tuple of tuple of numpy.ndarray
        Training and test set: images ``(n, 1, 28, 28)``, labels ``(n,)`` int64, 0 to 9, every
        class equally often.

    Raises
    ------
    ValueError
        If ``dtype`` is another.

    Notes
    -----
    Source, licence and selection: ``datasets/data/README.md``.

    Examples
    --------
    >>> from deepfs.datasets import mnist_mini
    >>> (x, y), (xt, yt) = mnist_mini()
    >>> x.shape, xt.shape, x.dtype, x.max()
    ((5000, 1, 28, 28), (1000, 1, 28, 28), dtype('float32'), np.float32(1.0))
    """
    return _load("mnist_mini", Path(__file__).with_name("data"), dtype)


def _load(dataset: str, root: str | os.PathLike[str] | None, dtype: str) -> tuple[Split, Split]:
    """Find the four files and read them."""
    if dtype not in ("float32", "float64", "uint8"):
        raise ValueError(f'{dataset} dtype must be "float32", "float64" or "uint8", got {dtype!r}')
    if root is None and (data := os.environ.get("DEEPFS_DATA")):
        root = Path(data) / dataset  # never its parent: the files of all data sets are named alike
    if root is not None:
        paths = [_find(dataset, Path(root), file) for file in _FILES]
    else:
        paths = [
            fetch(dataset, f"{file}.gz", sha256, _MIRRORS[dataset], size)
            for file, sha256, size in zip(_FILES, _SHA256[dataset], _SIZES[dataset], strict=True)
        ]
    return _read_split(paths[0], paths[1], dtype), _read_split(paths[2], paths[3], dtype)


def _find(dataset: str, folder: Path, file: str) -> Path:
    """Return the path of a file under any of the names in use."""
    dotted = file.replace("-idx", ".idx")
    names = (file, f"{file}.gz", dotted, f"{dotted}.gz")
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise FileNotFoundError(f"{dataset} found none of {', '.join(names)} in the folder {folder}")


def _read_split(images: Path, labels: Path, dtype: str) -> Split:
    """Read images and labels, and check that they belong together."""
    x, y = read_idx(images), read_idx(labels)
    if x.dtype != np.uint8 or x.ndim != 3 or x.shape[1:] != (_SIDE, _SIDE):
        raise ValueError(
            f"{images} must hold uint8 images (n, {_SIDE}, {_SIDE}), got {x.dtype} {x.shape}"
        )
    if y.dtype != np.uint8 or y.ndim != 1:
        raise ValueError(f"{labels} must hold uint8 labels (n,), got {y.dtype} {y.shape}")
    if len(x) != len(y):
        raise ValueError(f"{labels} must hold a label for each of {len(x)} images, got {len(y)}")
    if (y >= _CLASSES).any():
        raise ValueError(f"{labels} must hold labels 0 to {_CLASSES - 1}, got {y.max()}")
    x = x[:, np.newaxis]
    if dtype != "uint8":
        x = np.divide(x, 255, dtype=dtype)  # casts piece by piece: no second copy of the set
    return x, y.astype(np.int64)
