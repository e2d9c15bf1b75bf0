"""CIFAR-10 and CIFAR-100, from the authors' binary or Python files, or as pictures."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .._check import one_of
from .._pictures import need_pillow
from ._download import fetch
from ._pickles import read_pickle
from .folder import ImageFolder

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Split = tuple[NDArray[Any], NDArray[np.int64]]

CIFAR10_CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
CIFAR100_SUPERCLASSES = (
    "aquatic_mammals", "fish", "flowers", "food_containers", "fruit_and_vegetables",
    "household_electrical_devices", "household_furniture", "insects", "large_carnivores",
    "large_man-made_outdoor_things", "large_natural_outdoor_scenes",
    "large_omnivores_and_herbivores", "medium_mammals", "non-insect_invertebrates", "people",
    "reptiles", "small_mammals", "trees", "vehicles_1", "vehicles_2",
)  # fmt: skip
_FINE = """apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus
butterfly camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab
crocodile cup dinosaur dolphin elephant flatfish forest fox girl hamster house kangaroo keyboard
lamp lawn_mower leopard lion lizard lobster man maple_tree motorcycle mountain mouse mushroom
oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine
possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake
spider squirrel streetcar sunflower sweet_pepper table tank telephone television tiger tractor
train trout tulip turtle wardrobe whale willow_tree wolf woman worm"""
CIFAR100_CLASSES = tuple(_FINE.split())

SHAPE = (3, 32, 32)
PIXELS = 3 * 32 * 32
MOST = 1 << 28  # bytes of one file: more than five times the largest
MIRRORS = ("https://www.cs.toronto.edu/~kriz/",)  # the authors'
# archive of binary files: SHA-256 and bytes
ARCHIVES = {
    "cifar10": ("cifar-10-binary.tar.gz",
                "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd", 170_052_171),
    "cifar100": ("cifar-100-binary.tar.gz",
                 "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec", 168_513_733),
}  # fmt: skip
# names of the files of training set and test set
BATCHES = [f"data_batch_{number}" for number in range(1, 6)]
BINARY = {
    "cifar10": ([f"{name}.bin" for name in BATCHES], "test_batch.bin"),
    "cifar100": (["train.bin"], "test.bin"),
}
PYTHON = {"cifar10": (BATCHES, "test_batch"), "cifar100": (["train"], "test")}
FOLDERS = {
    "cifar10": ("cifar-10-batches-bin", "cifar-10-batches-py"),
    "cifar100": ("cifar-100-binary", "cifar-100-python"),
}


def cifar10(
    root: str | os.PathLike[str] | None = None, dtype: str = "float32"
) -> tuple[Split, Split]:
    """Load CIFAR-10: 50,000 training and 10,000 test images of things and animals, in colours.

    Parameters
    ----------
    root : str or path-like, optional
        Folder with the authors' binary or Python files, their archive, or pictures: see Notes. By
        default ``$DEEPFS_DATA/cifar10`` if that variable is set, else a folder in the user's cache
        (or in ``$DEEPFS_CACHE``), into which the archive, 170 MB, is downloaded once.
    dtype : {"float32", "float64", "uint8"}
        dtype of the images: floats in [0, 1], or raw bytes from 0 to 255. Floats take 0.7 GB.

    Returns
    -------
    (x, y), (xt, yt) : tuple of tuple of numpy.ndarray
        Training and test set: images ``(n, 3, 32, 32)``, labels ``(n,)`` int64, the numbers of
        ``CIFAR10_CLASSES``.

    Raises
    ------
    FileNotFoundError
        If the folder holds no such files.
    ValueError
        If ``dtype`` is another, or a file does not hold what its name says.
    ConnectionError
        If the archive could not be downloaded.

    Notes
    -----
    The folder may hold ``data_batch_1.bin`` and so on, or ``data_batch_1``, whose pickles are read
    without running anything of them; the same in ``cifar-10-batches-bin`` or
    ``cifar-10-batches-py``, or in the archive ``.tar.gz``; folders ``train`` and ``test`` with
    pictures in a subfolder for each class; or a file ``*_jpeg.npz`` of JPEGs one after the other:
    ``train_jpeg``, ``train_offsets``, ``train_labels``, and so for ``test``.

    References
    ----------
    A. Krizhevsky, Learning multiple layers of features from tiny images, 2009,
    https://www.cs.toronto.edu/~kriz/cifar.html.

    Examples
    --------
    >>> from deepfs.datasets import cifar10
    >>> (x, y), (xt, yt) = cifar10(dtype="uint8")  # doctest: +SKIP
    """
    return _load("cifar10", root, dtype, CIFAR10_CLASSES, 0)


def cifar100(
    root: str | os.PathLike[str] | None = None, dtype: str = "float32", label_mode: str = "fine"
) -> tuple[Split, Split]:
    """Load CIFAR-100: as CIFAR-10, but 100 classes in 20 superclasses.

    Parameters
    ----------
    root, dtype
        As of `cifar10`; the files are ``train.bin`` and ``test.bin``, or ``train`` and ``test``.
    label_mode : {"fine", "coarse"}
        Whether labels are the numbers of ``CIFAR100_CLASSES`` or ``CIFAR100_SUPERCLASSES``. The
        argument is Keras's.

    Returns
    -------
    (x, y), (xt, yt) : tuple of tuple of numpy.ndarray
        As of `cifar10`.

    Raises
    ------
    FileNotFoundError, ValueError, ConnectionError
        As `cifar10`.

    References
    ----------
    A. Krizhevsky, Learning multiple layers of features from tiny images, 2009,
    https://www.cs.toronto.edu/~kriz/cifar.html.

    Examples
    --------
    >>> from deepfs.datasets import cifar100
    >>> (x, y), (xt, yt) = cifar100(label_mode="coarse")  # doctest: +SKIP
    """
    fine = one_of(label_mode, "label_mode", ("fine", "coarse")) == "fine"
    return _load(
        "cifar100", root, dtype, CIFAR100_CLASSES if fine else CIFAR100_SUPERCLASSES, int(fine)
    )


def read_cifar(
    path: str | os.PathLike[str],
) -> tuple[NDArray[Any], NDArray[np.int64], tuple[str, ...]]:
    """Read one file of CIFAR-10 or CIFAR-100, binary or a pickle, which is not executed.

    Parameters
    ----------
    path : str or path-like
        Files with the names ``train`` and ``test`` are of CIFAR-100, others of CIFAR-10.

    Returns
    -------
    x : array (n, 3, 32, 32), uint8
    y : array (n,), int64
        For CIFAR-100 the fine labels.
    class_names : tuple of str

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it does not hold what its name says.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "data_batch_1.bin")
    ...     _ = path.write_bytes(bytes([3]) + bytes(3072))
    ...     x, y, class_names = read_cifar(path)
    >>> x.shape, class_names[y[0]]
    ((1, 3, 32, 32), 'cat')
    """
    path = Path(path)
    dataset = "cifar100" if path.stem in ("train", "test") else "cifar10"
    classes = CIFAR10_CLASSES if dataset == "cifar10" else CIFAR100_CLASSES
    read = _binary if path.suffix == ".bin" else _python
    x, y = read(bytes_of(path), str(path), dataset, int(dataset == "cifar100"))
    check_labels(y, classes, path)
    return x, y.astype(np.int64), classes


def check_labels(y: NDArray[Any], classes: tuple[str, ...], path: Path) -> None:
    """Raise ValueError if a label is not the number of a class."""
    if len(y) and (y.min() < 0 or y.max() >= len(classes)):
        raise ValueError(
            f"{path} must hold labels 0 to {len(classes) - 1}, got {y.min()} to {y.max()}"
        )


def _load(
    dataset: str,
    root: str | os.PathLike[str] | None,
    dtype: str,
    classes: tuple[str, ...],
    column: int,
) -> tuple[Split, Split]:
    """Find the files and read them; ``column``: which of the label bytes counts."""
    if dtype not in ("float32", "float64", "uint8"):
        raise ValueError(f'{dataset} dtype must be "float32", "float64" or "uint8", got {dtype!r}')
    if root is None and (data := os.environ.get("DEEPFS_DATA")):
        root = Path(data) / dataset
    if root is None:
        file, sha256, size = ARCHIVES[dataset]
        root = fetch(dataset, file, sha256, MIRRORS, size).parent
    splits = []
    for x, y in _splits(dataset, Path(root), classes, column):
        check_labels(y, classes, Path(root))
        floats = x if dtype == "uint8" else np.divide(x, 255, dtype=dtype)
        splits.append((floats, y.astype(np.int64)))
    return splits[0], splits[1]


def _splits(
    dataset: str, root: Path, classes: tuple[str, ...], column: int
) -> list[tuple[NDArray[Any], NDArray[Any]]]:
    """Return training and test set, in bytes, from what a folder holds."""
    for folder in (root, *(root / name for name in FOLDERS[dataset])):
        for names, read in ((BINARY, _binary), (PYTHON, _python)):
            train, test = names[dataset]
            if all((folder / name).is_file() for name in (*train, test)):
                return [
                    _joined([read(bytes_of(folder / name), str(folder / name), dataset, column)
                             for name in part])
                    for part in (train, [test])
                ]  # fmt: skip
    for names, read, kind in ((BINARY, _binary, "binary"), (PYTHON, _python, "python")):
        archive = root / f"cifar-{dataset[5:]}-{kind}.tar.gz"
        if archive.is_file():
            return _from_archive(archive, names[dataset], read, dataset, column)
    for path in sorted(root.glob("*_jpeg.npz")):
        return _jpegs(path)
    if (root / "train").is_dir() and (root / "test").is_dir():
        folders = [ImageFolder(root / part, 32, "rgb", class_names=classes)
                   for part in ("train", "test")]  # fmt: skip
        return [(each.read(np.arange(len(each))), each.targets) for each in folders]
    train, test = BINARY[dataset]
    raise FileNotFoundError(
        f"{dataset} found neither {train[0]} ... {test}, nor {PYTHON[dataset][0][0]} ... "
        f"{PYTHON[dataset][1]}, nor {ARCHIVES[dataset][0]}, nor folders train and test in {root}"
    )


def _joined(
    parts: list[tuple[NDArray[Any], NDArray[Any]]],
) -> tuple[NDArray[Any], NDArray[Any]]:
    return np.concatenate([x for x, _ in parts]), np.concatenate([y for _, y in parts])


def bytes_of(path: Path) -> bytes:
    """Return the content of a file that is not larger than one of CIFAR can be."""
    if path.stat().st_size > MOST:
        raise ValueError(f"{path} has {path.stat().st_size} bytes, at most {MOST} are right")
    return path.read_bytes()


def _binary(
    content: bytes, name: str, dataset: str, column: int
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Read records of label bytes (1 or 2) and pixels."""
    labels = 1 if dataset == "cifar10" else 2
    size = labels + PIXELS
    if not content or len(content) % size:
        raise ValueError(
            f"{name} must hold records of {size} bytes each, got {len(content)} bytes: it is "
            "truncated, or of another data set"
        )
    rows = np.frombuffer(content, np.uint8).reshape(-1, size)
    return rows[:, labels:].reshape(-1, *SHAPE), rows[:, column]


def _python(
    content: bytes, name: str, dataset: str, column: int
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Read a pickled dict with ``data`` ``(n, 3072)`` and lists of labels."""
    given = read_pickle(content, name)
    key = "labels" if dataset == "cifar10" else ("coarse_labels", "fine_labels")[column]
    if not isinstance(given, dict) or "data" not in given or key not in given:
        raise ValueError(f"{name} must be a dict with data and {key}")
    x, y = given["data"], np.asarray(given[key])
    right = isinstance(x, np.ndarray) and x.dtype == np.uint8 and x.shape == (len(y), PIXELS)
    if not right or y.ndim != 1 or y.dtype.kind not in "iu":
        raise ValueError(f"{name} must hold uint8 data (n, {PIXELS}) and n labels")
    return x.reshape(-1, *SHAPE), y


def _from_archive(
    path: Path,
    names: tuple[list[str], str],
    read: Callable[..., tuple[NDArray[Any], NDArray[Any]]],
    dataset: str,
    column: int,
) -> list[tuple[NDArray[Any], NDArray[Any]]]:
    """Read the files in an archive, of which nothing is unpacked to the disk."""
    from tarfile import TarError

    train, test = names
    wanted = {*train, test}
    found = {}
    try:
        for name, content in _members(path, wanted):
            found[name] = read(content, f"{path}:{name}", dataset, column)
    except (TarError, EOFError, OSError) as error:
        raise ValueError(f"{path} must be a .tar.gz archive, and whole: {error}") from None
    if missing := sorted(wanted - found.keys()):
        raise ValueError(f"{path} must hold {', '.join(sorted(wanted))}, {missing[0]} is missing")
    return [_joined([found[name] for name in part]) for part in (train, [test])]


def _members(path: Path, wanted: set[str]) -> Iterator[tuple[str, bytes]]:
    import tarfile

    with tarfile.open(path, "r|gz") as archive:
        for member in archive:
            name = member.name.rpartition("/")[2]
            if name in wanted and member.isreg():
                if member.size > MOST:
                    raise ValueError(f"{path}:{name} has {member.size} bytes, at most {MOST}")
                file = archive.extractfile(member)
                assert file is not None
                yield name, file.read()


def _jpegs(path: Path) -> list[tuple[NDArray[Any], NDArray[Any]]]:
    """Decode JPEGs that lie one after the other in arrays."""
    need_pillow(path)
    try:
        with np.load(path, allow_pickle=False) as file:
            given = {name: file[name] for name in file.files}
    except Exception as error:  # a damaged file raises whatever its parser does
        raise ValueError(f"{path} must be an .npz file of arrays: {error}") from None
    splits = []
    for part in ("train", "test"):
        names = [f"{part}_{what}" for what in ("jpeg", "offsets", "labels")]
        if missing := [name for name in names if name not in given]:
            raise ValueError(f"{path} must hold {', '.join(names)}, {missing[0]} is missing")
        content, offsets, y = (given[name] for name in names)
        if len(offsets) != len(y) + 1:
            raise ValueError(f"{path} must hold {len(y) + 1} offsets of {part}, got {len(offsets)}")
        x = np.empty((len(y), *SHAPE), np.uint8)
        for number, (start, stop) in enumerate(pairwise(offsets.tolist())):
            x[number] = _jpeg(content[start:stop].tobytes(), f"{path}:{part}[{number}]")
        splits.append((x, y))
    return splits


def _jpeg(content: bytes, name: str) -> NDArray[Any]:
    from PIL import Image

    try:
        with Image.open(BytesIO(content), formats=("JPEG",)) as picture:
            pixels = np.asarray(picture.convert("RGB")).transpose(2, 0, 1)
    except Exception as error:  # a damaged file raises whatever its parser does
        raise ValueError(f"{name} must be a JPEG: {error}") from None
    if pixels.shape != SHAPE:
        raise ValueError(f"{name} must be of shape {SHAPE}, got {pixels.shape}")
    return pixels
