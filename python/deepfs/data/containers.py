"""Containers that people hand over as data: what each means, or the line that converts it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from .._arrays import Array, Shape
from .._trees import Tree

Data: TypeAlias = "Array | Lazy"


class Lazy:
    """An array that is read by slices, such as a data set of h5py: shape, dtype and slicing."""

    def __init__(self, source: Any, what: str) -> None:
        self.source, self.what = source, what
        self.shape: Shape = tuple(int(extent) for extent in source.shape)
        self.dtype = np.dtype(np.uint8 if source.dtype == bool else source.dtype)
        self.ndim = len(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: slice | Array) -> Array:
        """Return samples ``[start:stop]``, or those of an array of indices."""
        if isinstance(index, slice):
            start, stop, _ = index.indices(len(self))
            return self._read(start, max(start, stop))
        order = np.argsort(index, kind="stable")
        ranked = index[order]
        samples = np.empty((len(index), *self.shape[1:]), self.dtype)
        runs = np.split(np.arange(len(index)), np.flatnonzero(np.diff(ranked) != 1) + 1)
        for run in runs if len(index) else ():
            samples[order[run]] = self._read(int(ranked[run[0]]), int(ranked[run[-1]]) + 1)
        return samples

    def _read(self, start: int, stop: int) -> Array:
        part = np.asarray(self.source[start:stop])
        if part.dtype == bool:
            part = part.view(np.uint8)
        if part.shape != (stop - start, *self.shape[1:]):
            raise ValueError(
                f"{self.what}[{start}:{stop}] must be {(stop - start, *self.shape[1:])}, as the "
                f"shape {self.shape} says, got {part.shape}"
            )
        return part


def as_data(given: Any, what: str, like: Tree = None) -> Tree:
    """Return data as an array, or as the tree that a network of several inputs or outputs takes.

    Parameters
    ----------
    given : array_like, or tuple or dict of array_like
        What the user handed over.
    what : str
        Its name in messages: "inputs" or "targets".
    like : tuple or dict, optional
        A tree of the wanted form; anything else asks for one array.

    Raises
    ------
    TypeError, ValueError
        If it is no array and does not mean one.

    Examples
    --------
    >>> as_data([[1, 2], [3, 4]], "inputs").shape
    (2, 2)
    """
    if isinstance(like, dict):
        if not isinstance(given, Mapping):
            raise TypeError(f"Model takes {what} as a dict of {_listed(like)}, got {_kind(given)}")
        if given.keys() != like.keys():
            raise ValueError(
                f"Model takes {what} as a dict of {_listed(like)}, got {_listed(given) or 'none'}"
            )
        return {name: _leaf(given[name], f"{what}[{name!r}]") for name in like}
    if isinstance(like, tuple):
        if not isinstance(given, (tuple, list)) or len(given) != len(like):
            got = f"{len(given)}" if isinstance(given, (tuple, list)) else _kind(given)
            raise ValueError(f"Model takes {what} as a tuple of {len(like)} arrays, got {got}")
        return tuple(_leaf(each, f"{what}[{i}]") for i, each in enumerate(given))
    return _leaf(given, what)


def _leaf(given: Any, what: str) -> Data:
    """Return one array, or what is read like one."""
    if type(given) is np.ndarray and given.dtype.kind in "iuf":
        return given  # the fast path, of `Model.train_on_batch`
    if isinstance(given, np.ndarray):
        return _plain(given, what)
    _refuse_container(given, what)
    if _read_by_slices(given):
        return _checked_dtype(Lazy(given, what), given, what)
    try:
        a = np.asarray(given)
    except ValueError:
        raise ValueError(
            f"Model takes {what} as an array, got a {_kind(given)} whose entries differ in "
            "shape: crop, pad or resize them to one shape, then np.stack"
        ) from None
    except (TypeError, RuntimeError) as error:  # tensors that need a gradient, or of another device
        raise TypeError(f"Model takes {what} as an array, got {_kind(given)}: {error}") from None
    return _plain(a, what, given)


def _refuse_container(given: Any, what: str) -> None:
    """Raise TypeError for what holds data, but is no array."""
    who, kind = f"Model takes {what} as an array, got", _kind(given)
    if given is None:
        raise TypeError(f"{who} None")
    if isinstance(given, (str, bytes)):
        raise TypeError(
            f"{who} text, {str(given)[:60]!r}: read the file first, as by deepfs.data.Loader(path)"
        )
    if hasattr(given, "toarray") and hasattr(given, "nnz"):
        raise TypeError(f"{who} a sparse matrix, {kind}: write {what}.toarray()")
    if isinstance(given, Mapping):
        raise TypeError(
            f"{who} a {kind} of {_listed(given) or 'nothing'}: only a Graph with named inputs or "
            "outputs takes a dict"
        )
    if isinstance(given, Iterator):
        raise TypeError(
            f"{who} an iterator, {kind}: np.stack(list(...)) makes an array; batches (inputs, "
            "targets) train with fit(batches, steps_per_epoch=...)"
        )
    if isinstance(given, (set, frozenset)):
        raise TypeError(f"{who} a {kind}, which has no order: use a list")
    arrays = ("__array__", "__array_interface__", "__dlpack__", "__float__", "__index__")
    if isinstance(given, (Sequence, memoryview)) or any(hasattr(given, name) for name in arrays):
        return
    if hasattr(given, "__getitem__") and hasattr(given, "__len__") and not hasattr(given, "shape"):
        raise TypeError(
            f"{who} a data set, {kind}: deepfs.data.Loader(data) makes batches of its samples"
        )
    if hasattr(given, "__iter__") and not hasattr(given, "shape"):
        raise TypeError(
            f"{who} an iterable, {kind}: batches (inputs, targets) train with fit(batches)"
        )
    if not _read_by_slices(given):
        raise TypeError(f"{who} {kind}")


def _read_by_slices(given: Any) -> bool:
    """Return whether an object is an array outside memory: shape, NumPy dtype, slices."""
    return (
        isinstance(getattr(given, "dtype", None), np.dtype)
        and isinstance(getattr(given, "shape", None), tuple)
        and len(given.shape) > 0
        and hasattr(given, "__getitem__")
        and not hasattr(given, "to_numpy")  # pandas
    )


def _plain(a: Array, what: str, given: Any = None) -> Array:
    """Return an array without what a subclass of ndarray adds, if it means nothing else."""
    if isinstance(a, np.ma.MaskedArray):
        mask = np.ma.getmaskarray(a)
        if mask.any():
            at = int(mask.reshape(len(a), -1).any(axis=1).argmax()) if a.ndim else 0
            raise ValueError(
                f"Model takes {what} without masked entries, got one in sample {at}: write "
                f"{what}.filled(value), or leave such samples out"
            )
    if type(a) is not np.ndarray and hasattr(a, "unit"):
        raise TypeError(
            f"Model takes {what} as numbers without a unit, got {_kind(a)} in {a.unit}: write "
            f"{what}.value"
        )
    return _checked_dtype(np.asarray(a), a if given is None else given, what)


def _checked_dtype(a: Any, given: Any, what: str) -> Any:
    """Return ``a`` if it holds real numbers."""
    kind = a.dtype.kind
    if kind in "iuf":
        return a
    if kind == "b" and isinstance(a, np.ndarray):
        return a.view(np.uint8)  # no and yes are 0 and 1
    who = f"Model takes {what} that are real numbers, got"
    if kind == "O":
        raise TypeError(f"{who} {_objects(a, given, what)}")
    if kind in "SUT":
        raise TypeError(f"{who} {text(what)}")
    if a.dtype.names:
        raise TypeError(
            f"{who} the fields {', '.join(map(repr, a.dtype.names))}: "
            f"numpy.lib.recfunctions.structured_to_unstructured({what}) makes columns"
        )
    if kind in "mM":
        raise TypeError(f"{who} {a.dtype}: convert it, as by {what}.astype(float)")
    raise TypeError(f"{who} an array of {a.dtype}")


def _objects(a: Array, given: Any, what: str) -> str:
    """Return what an array of objects holds, and the line that makes numbers of it."""
    columns = getattr(given, "columns", None)
    if columns is not None:
        odd = [str(name) for name in columns if given[name].dtype.kind not in "biuf"]
        if odd:
            return (
                f"columns of other kinds, {', '.join(map(repr, odd[:5]))}: make numbers of them, "
                "as pandas.get_dummies does"
            )
        return f"columns with missing values: {what}.astype(float) has NaN there"
    first = a.flat[0] if a.size else None
    if isinstance(first, (str, bytes)):
        return text(what)
    if isinstance(first, (np.ndarray, list, tuple)) or hasattr(first, "shape"):
        return f"an array of {a.size} objects of kind {_kind(first)}: write np.stack({what})"
    if first is None or any(each is None for each in a.flat[:1000]):
        return f"an array of objects, some of them None: {what}.astype(float) makes NaN of these"
    return f"an array of object, {_kind(first)} first: write {what}.astype(float)"


def text(what: str) -> str:
    """Return what to do with text."""
    return f"text: classes, {what} = np.unique({what}, return_inverse=True) numbers them"


def _kind(given: Any) -> str:
    kind = type(given)
    module = kind.__module__.partition(".")[0]
    return kind.__name__ if module in ("builtins", "numpy") else f"{module}.{kind.__name__}"


def _listed(names: Any) -> str:
    return ", ".join(repr(name) for name in list(names)[:5])
