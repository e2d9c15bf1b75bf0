"""Splits of a data set: train and test, k folds; shuffled, stratified and seeded.

Names are those of scikit-learn. Unlike there, folds are shuffled unless asked otherwise, and
``seed`` is the name of its ``random_state``, as everywhere in deepfs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._arrays import Array
from .._check import flag, number, shown, whole
from .._settings import ExplainedSettings
from ..random import Random
from .batches import DataSet
from .containers import Lazy

STREAM = 2**32 - 2  # of the random numbers of splits with a seed
FIXED_SEED = 0  # of `fit(validation_split=)`


def train_test_split(
    *arrays: Any,
    test_size: float | int = 0.25,
    shuffle: bool = True,
    stratify: Any = None,
    seed: int | None = None,
) -> list[Any]:
    """Split arrays, or a data set, into a training and a test part.

    Parameters
    ----------
    *arrays : array (n, ...), or DataSet
        What to split: arrays of one length, or one data set such as a `Loader`.
    test_size : float or int
        Share of the samples in the test part, in (0, 1), rounded up; or their number.
    shuffle : bool
        Choose at random. False: the test part is the last samples, in their order.
    stratify : array (n,), optional
        Labels: each class has the same share of both parts, to within one sample.
    seed : int, optional
        Random seed of the split. By default a new one of those of `set_seed`.

    Returns
    -------
    list
        Training and test part of each, as in scikit-learn: ``x_train, x_test, y_train, y_test``.

    Raises
    ------
    TypeError, ValueError
        If lengths differ, a part is empty, or a class would be missing in a part.

    References
    ----------
    scikit-learn: ``model_selection.train_test_split``.

    Examples
    --------
    >>> import deepfs as dfs
    >>> x, y = np.arange(8.0).reshape(8, 1), np.array([0, 0, 0, 0, 0, 0, 1, 1])
    >>> x_train, x_test, y_train, y_test = dfs.data.train_test_split(
    ...     x, y, test_size=0.5, stratify=y, seed=0
    ... )
    >>> np.bincount(y_train), np.bincount(y_test)
    (array([3, 1]), array([3, 1]))
    """
    who = "train_test_split"
    n = length_of(arrays, who)
    if n < 2:
        raise ValueError(f"{who} needs at least 2 samples, got {n}")
    test = number_of(test_size, n, "test_size")
    shuffle = flag(shuffle, "shuffle")
    if not shuffle:
        if stratify is not None:
            raise ValueError(f"{who} with shuffle=False takes no stratify: it keeps the order")
        parts = np.arange(n - test), np.arange(n - test, n)
    else:
        random = random_of(seed)
        if stratify is None:
            order = random.permutation(n)
            parts = order[test:], order[:test]
        else:
            labels = labels_of(stratify, n, who)
            first, second = stratified(labels, test, random)
            for what, part in (("test", second), ("training", first)):
                lacking = missing(labels, part)
                if lacking:
                    raise ValueError(
                        f"{who} leaves {described(labels, lacking)} out of the {what} part of "
                        f"{len(part)} samples: needed are at least 2 samples of each class and "
                        "a part of at least as many samples as classes"
                    )
            first, second = (part[random.permutation(len(part))] for part in (first, second))
            parts = first, second
    return [picked(each, part) for each in arrays for part in parts]


@dataclass(repr=False)
class KFold(ExplainedSettings):
    """Divide samples into k parts of nearly equal size; each is the test part once.

    Parameters
    ----------
    n_splits : int
        Number of folds, k, at least 2.
    shuffle : bool
        Divide at random, once; scikit-learn's default is False. False: parts are consecutive.
    seed : int, optional
        Random seed. By default a new one of those of `set_seed`.

    Raises
    ------
    TypeError, ValueError
        If a setting is out of range.

    References
    ----------
    scikit-learn: ``model_selection.KFold``.

    Examples
    --------
    >>> import deepfs as dfs
    >>> [test.tolist() for train, test in dfs.data.KFold(2, shuffle=False).split(np.zeros(5))]
    [[0, 1, 2], [3, 4]]
    """

    n_splits: int = 5
    shuffle: bool = True
    seed: int | None = None

    def __post_init__(self) -> None:
        self.n_splits = whole(self.n_splits, "n_splits", 2)
        self.shuffle = flag(self.shuffle, "shuffle")
        if self.seed is not None:
            self.seed = whole(self.seed, "seed", 0, 2**63 - 1)

    def split(self, x: Any, y: Any = None) -> Iterator[tuple[Array, Array]]:
        """Return an iterator over the indices ``(train, test)`` of each fold, in ascending order.

        Parameters
        ----------
        x : array (n, ...), or DataSet
            What to divide: its length counts.
        y : array (n,), optional
            Labels, which `StratifiedKFold` needs.

        Raises
        ------
        ValueError
            If there are fewer samples than folds.
        """
        n = length_of([x], type(self).__name__)
        if n < self.n_splits:
            raise ValueError(
                f"{type(self).__name__} of {self.n_splits} folds needs as many samples, got {n}"
            )
        fold_of = self._folds(n, y)
        every = np.arange(n)
        return ((every[fold_of != k], every[fold_of == k]) for k in range(self.n_splits))

    def _folds(self, n: int, y: Any) -> Array:
        """Return the number of the fold of each sample."""
        sizes = np.full(self.n_splits, n // self.n_splits)
        sizes[: n % self.n_splits] += 1
        fold_of = np.empty(n, np.int64)
        order = random_of(self.seed).permutation(n) if self.shuffle else np.arange(n)
        fold_of[order] = np.repeat(np.arange(self.n_splits), sizes)
        return fold_of


@dataclass(repr=False)
class StratifiedKFold(KFold):
    """The same with each class divided evenly among the folds, to within one sample.

    Parameters
    ----------
    n_splits, shuffle, seed : int, bool, int
        See `KFold`.

    Raises
    ------
    TypeError, ValueError
        If a setting is out of range.

    References
    ----------
    scikit-learn: ``model_selection.StratifiedKFold``.

    Examples
    --------
    >>> import deepfs as dfs
    >>> y = np.array([0, 0, 0, 0, 1, 1])
    >>> folds = dfs.data.StratifiedKFold(2, seed=0)
    >>> [np.bincount(y[test]).tolist() for train, test in folds.split(y, y)]
    [[2, 1], [2, 1]]
    """

    def _folds(self, n: int, y: Any) -> Array:
        who = type(self).__name__
        if y is None:
            raise TypeError(f"{who} needs the labels: split(x, y)")
        labels = labels_of(y, n, who)
        _, number_of_class, counts = np.unique(labels, return_inverse=True, return_counts=True)
        if counts.min() < self.n_splits:
            few = described(labels, np.unique(labels)[counts < self.n_splits].tolist())
            raise ValueError(
                f"{who} of {self.n_splits} folds needs as many samples of each class, got fewer "
                f"of {few}: use a smaller n_splits, or KFold"
            )
        random = random_of(self.seed) if self.shuffle else None
        fold_of = np.empty(n, np.int64)
        turn = 0  # the next class goes on with the fold after the last one, so that sizes are even
        for each in range(len(counts)):
            own = np.flatnonzero(number_of_class == each)
            if random is not None:
                own = own[random.permutation(len(own))]
            fold_of[own] = (turn + np.arange(len(own))) % self.n_splits
            turn += len(own)
        return fold_of


def validation_numbers(
    data: DataSet, share: Any, by_class: bool, names: Sequence[str] | None, yes_or_no: bool = False
) -> tuple[Array, Array, str]:
    """Return which samples `fit(validation_split=share)` trains on, and which it validates on.

    Both in ascending order. The split depends on the number of samples and the labels only, not on
    a seed: so a second `fit`, a resumed one and another model have the same one, and no sample
    changes sides. A class that is too small to be in both parts stays in training: the third result
    names such classes.
    """
    share = number(share, "validation_split", "(0, 1)")
    n = data.samples
    held = math.ceil(n * share - 1e-9)
    if not 1 <= held < n:
        raise ValueError(f"validation_split={share} of {n} samples leaves a part empty")
    random = Random(FIXED_SEED, STREAM)
    labels = class_labels(getattr(data, "y", None), yes_or_no) if by_class else None
    if labels is None:
        order = random.permutation(n)
        return np.sort(order[held:]), np.sort(order[:held]), ""
    train, rest = stratified(labels, held, random)
    lacking = missing(labels, rest)
    return train, rest, described(labels, lacking, names)


def class_labels(y: Any, yes_or_no: bool = False) -> Array | None:
    """Return a label per sample, from labels (n,) or rows with one 1; None if there is none."""
    if isinstance(y, Lazy) and y.ndim <= 2:
        y = y[:]
    if not isinstance(y, np.ndarray):
        return None
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim == 1 and (y.dtype.kind in "iu" or yes_or_no):
        return y
    if y.ndim == 2 and not yes_or_no and ((y == 0) | (y == 1)).all() and (y.sum(1) == 1).all():
        return np.asarray(y.argmax(axis=1))
    return None


def stratified(labels: Array, second: int, random: Random) -> tuple[Array, Array]:
    """Return two parts, each in ascending order, with ``second`` samples in the second one.

    Each class gives the same share, to within a sample (largest remainders); as far as that is
    possible, each class of at least 2 samples is in both parts.
    """
    _, number_of_class, counts = np.unique(labels, return_inverse=True, return_counts=True)
    exact = counts * (second / len(labels))
    least = np.where((counts > 1) & (second >= (counts > 1).sum()), 1, 0)
    most = np.maximum(counts - 1, 0)
    if most.sum() < second:  # so many samples that a class must go there entirely
        most = counts
    taken = np.clip(np.floor(exact).astype(np.int64), least, most)
    while taken.sum() != second:
        step = 1 if taken.sum() < second else -1
        room = taken < most if step > 0 else taken > least
        taken[np.where(room, step * (exact - taken), -np.inf).argmax()] += step
    chosen = np.zeros(len(labels), bool)
    for each, count in enumerate(taken):
        own = np.flatnonzero(number_of_class == each)
        chosen[own[random.permutation(len(own))[:count]]] = True
    return np.flatnonzero(~chosen), np.flatnonzero(chosen)


def missing(labels: Array, part: Array) -> list[Any]:
    """Return the classes that a part has no sample of."""
    found: list[Any] = np.setdiff1d(labels, labels[part]).tolist()
    return found


def described(labels: Array, few: list[Any], names: Sequence[str] | None = None) -> str:
    """Return classes and their numbers of samples in words."""
    text = []
    for label in few[:5]:
        named = names is not None and isinstance(label, int) and 0 <= label < len(names)
        name = names[label] if named and names is not None else f"class {label}"
        count = int((labels == label).sum())
        text.append(f"{name} ({count} sample{'s' * (count != 1)})")
    return ", ".join(text) + (f" and {len(few) - 5} more" if len(few) > 5 else "")


def number_of(size: float | int, n: int, name: str) -> int:
    """Return a share of n, or a number of samples, as a number that leaves no part empty."""
    if isinstance(size, float):
        return min(math.ceil(number(size, name, "(0, 1)") * n - 1e-9), n - 1)
    return whole(size, name, 1, n - 1)


def random_of(seed: int | None) -> Random:
    """Return random numbers of a seed, or new ones."""
    return Random() if seed is None else Random(whole(seed, "seed", 0, 2**63 - 1), STREAM)


def length_of(arrays: Sequence[Any], who: str) -> int:
    """Return the number of samples of arrays or of a data set."""
    if not arrays:
        raise TypeError(f"{who} needs at least one array")
    lengths = []
    for each in arrays:
        if isinstance(each, DataSet):
            lengths.append(each.samples)
        elif hasattr(each, "__len__"):
            lengths.append(len(each))
        else:
            raise TypeError(f"{who} takes arrays or a data set, got {shown(each)}")
    if len(set(lengths)) > 1:
        raise ValueError(f"{who} needs arrays of one length, got {lengths}")
    return lengths[0]


def labels_of(given: Any, n: int, who: str) -> Array:
    """Return labels to stratify by; raise ValueError if there is not one for each sample."""
    labels = np.asarray(given)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.shape != (n,):
        raise ValueError(f"{who} needs a label for each of {n} samples, got {labels.shape}")
    if labels.dtype.kind == "f" and (labels != np.round(labels)).any():
        raise TypeError(f"{who} stratifies by labels, got numbers such as {labels[0]}")
    return labels


def picked(given: Any, numbers: Array) -> Any:
    """Return some samples of what a user gave."""
    if isinstance(given, DataSet):
        return given.subset(numbers)
    if hasattr(given, "iloc"):  # pandas
        return given.iloc[numbers]
    if isinstance(given, list):
        return [given[i] for i in numbers]
    if isinstance(given, np.ndarray) or not hasattr(given, "dtype"):
        return np.asarray(given)[numbers]
    return Lazy(given, "array")[numbers] if isinstance(given.dtype, np.dtype) else given[numbers]
