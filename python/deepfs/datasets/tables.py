"""Tables of numbers and classes: CSV files and .npz files."""

from __future__ import annotations

import csv
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from .._arrays import Array
from .._names import hint

# names of the column of targets, and of arrays of inputs and targets, as they are in use
TARGETS = ("label", "labels", "target", "targets", "class", "y", "species", "diagnosis")
PAIRS = (
    ("x", "y"), ("X", "y"), ("x_train", "y_train"), ("X_train", "y_train"), ("images", "labels"),
    ("train_images", "train_labels"), ("data", "labels"), ("data", "target"), ("inputs", "targets"),
)  # fmt: skip


def read_csv(
    path: str | os.PathLike[str], target: str | int | None = None
) -> tuple[Array, Array, tuple[str, ...] | None]:
    r"""Read a table of numbers and its targets from a CSV file.

    Parameters
    ----------
    path : str or path-like
        A file of lines of fields with commas, semicolons or tabs between them, in UTF-8. The first
        line holds names if it has fewer numbers than the second.
    target : str or int, optional
        Name or number of the column of targets. By default the one that is called label, target,
        class or y, else the last.

    Returns
    -------
    x : array (n, features), float32
    y : array (n,)
        int64 if all targets are ints, float32 if they are numbers. Text becomes the number of a
        class.
    class_names : tuple of str or None
        The classes, sorted, if targets are text.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If a field other than a target is no number, lines differ in length, or there is none.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "flowers.csv")
    ...     _ = path.write_text("length,width,species\n1.4,0.2,setosa\n4.7,1.4,versicolor\n")
    ...     x, y, class_names = read_csv(path)
    >>> x.shape, y, class_names
    ((2, 2), array([0, 1]), ('setosa', 'versicolor'))
    """
    path = Path(path)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = [file.readline(1 << 20) for _ in range(2)]
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} must be text in UTF-8: {error}") from None
    delimiter = max(",;\t", key=lines[0].count)
    first, second = (next(csv.reader([line], delimiter=delimiter), []) for line in lines)
    if not first:
        raise ValueError(f"{path} must be a table of numbers, got an empty first line")
    named = sum(map(is_number, first)) < (sum(map(is_number, second)) or not second)
    names = [field.strip() for field in first] if named else [str(i) for i in range(len(first))]
    at = column_of(path, names, target, named)
    others = [i for i in range(len(names)) if i != at]
    if not others:
        raise ValueError(f"{path} must have a column of inputs beside the targets, got 1 column")
    x = columns(path, delimiter, named, others, np.float32, names)
    y = columns(path, delimiter, named, [at], str, names)[:, 0]
    return x, *classes_of(y)


def column_of(path: Path, names: list[str], target: str | int | None, named: bool) -> int:
    """Return the number of the column of targets."""
    if target is None:
        lower = [name.lower() for name in names]
        found = [lower.index(name) for name in TARGETS if named and name in lower]
        return found[0] if found else len(names) - 1
    if isinstance(target, int) and not isinstance(target, bool):
        if not -len(names) <= target < len(names):
            raise ValueError(f"{path} has {len(names)} columns, target={target} is none of them")
        return target % len(names)
    if target not in names or not named:
        raise ValueError(f"{path} has no column {target!r}{hint(str(target), names)}")
    return names.index(target)


def columns(
    path: Path, delimiter: str, named: bool, which: list[int], dtype: Any, names: list[str]
) -> Array:
    """Read some columns of a table."""
    try:
        with warnings.catch_warnings(action="ignore"):  # of no lines
            rows = np.loadtxt(
                path, dtype, comments=None, delimiter=delimiter, skiprows=int(named),
                usecols=which, ndmin=2, encoding="utf-8-sig", quotechar='"',
            )  # fmt: skip
    except (ValueError, IndexError) as error:
        wrong = first_wrong(path, delimiter, named, which, names) or f": {error}"
        raise ValueError(f"{path} must be a table of numbers{wrong}") from None
    if not len(rows):
        raise ValueError(f"{path} must have a line of numbers at least, got none")
    return rows


def first_wrong(path: Path, delimiter: str, named: bool, which: list[int], names: list[str]) -> str:
    """Return line and column of the first field that is no number, as the end of a message."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = csv.reader(file, delimiter=delimiter)
        for row in lines:
            if not row or (named and lines.line_num == 1):
                continue
            if len(row) <= max(which):
                return f": line {lines.line_num} has {len(row)} columns, of {len(names)}"
            for i in which:
                if not is_number(row[i]):
                    column = repr(names[i]) if named else str(i + 1)
                    return f": line {lines.line_num}, column {column} has {row[i]!r}"
    return ""


def classes_of(y: Array) -> tuple[Array, tuple[str, ...] | None]:
    """Return targets that were read as text as numbers; names of classes, if they are text."""
    for dtype in (np.int64, np.float32):
        try:
            return y.astype(dtype), None
        except ValueError:
            pass
    names, numbers = np.unique(np.char.strip(y), return_inverse=True)
    return numbers.astype(np.int64), tuple(map(str, names))


def is_number(field: str) -> bool:
    """Return whether a field of a table is a number."""
    try:
        float(field)
    except ValueError:
        return False
    return True


def read_npz(path: str | os.PathLike[str]) -> tuple[Array, Array, tuple[str, ...] | None]:
    """Read inputs and targets from an ``.npz`` file, by the names in use.

    Parameters
    ----------
    path : str or path-like
        A file of `numpy.savez` with ``x`` and ``y``, ``images`` and ``labels``, ``x_train`` and
        ``y_train`` (Keras), ``data`` and ``target`` (scikit-learn), or ``inputs`` and ``targets``;
        perhaps ``class_names``. Objects in it are refused, not unpickled.

    Returns
    -------
    x, y : array (n, ...)
    class_names : tuple of str or None

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no such file, or holds arrays of other names.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez(f"{folder}/a.npz", x=np.zeros((2, 3)), y=[0, 1])
    ...     x, y, class_names = read_npz(f"{folder}/a.npz")
    >>> x.shape, y
    ((2, 3), array([0, 1]))
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        with np.load(path, allow_pickle=False) as file:
            names = list(file.files)
            for pair in PAIRS:
                if all(name in names for name in pair):
                    x, y = (file[name] for name in pair)
                    given = file["class_names"].tolist() if "class_names" in names else None
                    return x, y, None if given is None else tuple(map(str, given))
    except Exception as error:  # a damaged file raises whatever its parser does
        raise ValueError(f"{path} must be an .npz file of arrays: {error}") from None
    raise ValueError(
        f"{path} must hold arrays x and y (or images and labels), got {', '.join(names) or 'none'}:"
        " write Loader((file[...], file[...]))"
    )
