"""Cross-validation: train a new model on all folds but one, evaluate it on that one, in turn."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ._arrays import Array
from ._check import flag, shown, whole
from ._names import refuse_unknown
from ._trees import Tree, map_tree
from .data.batches import DataSet
from .data.containers import as_data
from .data.splits import KFold, StratifiedKFold, class_labels
from .losses._output_kinds import BINARY_LOGITS
from .model import Model
from .random import Streams, get_seed, using
from .training.finite import forms
from .training.history import History


@dataclass(frozen=True, repr=False)
class CrossValidation:
    """What `cross_validate` has measured.

    Attributes
    ----------
    scores : tuple of dict of float
        What `Model.evaluate` returns for the test part of each fold.
    histories : tuple of History
        Of the training of each fold.
    folds : tuple of (array, array)
        Indices of the training and the test part of each fold.
    """

    scores: tuple[Mapping[str, float], ...]
    histories: tuple[History, ...]
    folds: tuple[tuple[Array, Array], ...]

    @property
    def mean(self) -> dict[str, float]:
        """Mean over the folds of each score."""
        return {name: float(np.mean(self[name])) for name in self.scores[0]}

    @property
    def std(self) -> dict[str, float]:
        """Standard deviation over the folds, divided by k, as NumPy's."""
        return {name: float(np.std(self[name])) for name in self.scores[0]}

    def __getitem__(self, name: str) -> list[float]:
        if name not in self.scores[0]:
            raise KeyError(f"{name!r}: the scores are {', '.join(self.scores[0])}")
        return [score[name] for score in self.scores]

    def __repr__(self) -> str:
        names = list(self.scores[0])
        width = max(10, *map(len, names))
        lines = ["fold".ljust(6) + "".join(name.rjust(width + 2) for name in names)]
        rows = [(str(k + 1), score) for k, score in enumerate(self.scores)]
        for label, row in (*rows, ("mean", self.mean), ("std", self.std)):
            cells = "".join(f"{row[name]:.4g}".rjust(width + 2) for name in names)
            lines.append(label.ljust(6) + cells)
        return "\n".join(lines)


def cross_validate(
    build: Callable[[], Model],
    x: Any,
    y: Any = None,
    k: int = 5,
    *,
    stratify: bool | None = None,
    shuffle: bool = True,
    seed: int | None = None,
    batch_size: int | None = None,
    **fit: Any,
) -> CrossValidation:
    """Measure how well a kind of model does on data that it was not trained on, k times.

    Parameters
    ----------
    build : function
        Returns a new model each time it is called, without arguments.
    x, y : array (n, ...)
        Inputs and targets; or one data set, such as a `Loader`.
    k : int
        Number of folds, at least 2: each model is trained on the other k - 1.
    stratify : bool, optional
        Divide each class evenly among the folds. By default where the targets are labels.
    shuffle : bool
        Divide at random. False: folds are consecutive samples.
    seed : int, optional
        Random seed of the folds and of the models, so that all of it repeats. By default that of
        `set_seed`.
    batch_size : int, optional
        Samples per batch of `fit`; by default its own.
    **fit
        Other arguments of `Model.fit`, such as ``epochs``; ``verbose`` is 0 if it is not given.
        Callbacks are copied for each fold.

    Returns
    -------
    CrossValidation
        ``scores``, ``histories``, and ``mean`` and ``std`` of each score over the folds.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind, or a class has fewer samples than there are folds.
    ValueError
        If ``build`` returns a model that has been trained, or that shares its network or a fitted
        preprocessing with another: the test parts would no longer be unknown to it.

    Notes
    -----
    A preprocessing of the model is fitted to the training part of each fold alone. Memory takes one
    copy of the training part of an array.

    References
    ----------
    scikit-learn: ``model_selection.cross_validate``.

    Examples
    --------
    >>> import deepfs as dfs
    >>> def build():
    ...     return dfs.Model(dfs.layers.Dense(2), "cross_entropy", dfs.optimizers.Adam(0.1))
    >>> x = np.random.default_rng(0).normal(size=(60, 2))
    >>> result = dfs.cross_validate(build, x, (x[:, 0] > 0).astype(int), k=3, seed=0, epochs=20)
    >>> len(result.scores), result.mean["accuracy"] > 0.8
    (3, True)
    """
    known = ["k", "stratify", "shuffle", "seed", *inspect.signature(Model.fit).parameters]
    if not fit.keys() <= {*known}:
        refuse_unknown(fit, known, "cross_validate")
    k, shuffle = whole(k, "k", 2), flag(shuffle, "shuffle")
    if isinstance(build, Model) or not callable(build):
        way = ": write a function that makes one" if isinstance(build, Model) else ""
        raise TypeError(f"build must be a function that returns a Model, got {shown(build)}{way}")
    if not {"validation_data", "checkpoint"}.isdisjoint(fit):
        raise TypeError(
            "cross_validate takes no validation_data and no checkpoint: the folds are those of "
            "one data set; validation_split holds out a share of each training part"
        )
    seed = get_seed() if seed is None else whole(seed, "seed", 0, 2**63 - 1)
    fit = {"verbose": 0} | fit | ({} if batch_size is None else {"batch_size": batch_size})
    streams, seen = Streams(seed), list[Model]()
    with using(streams):
        model = fresh(build, seen)
    data = samples_of(model, x, y, fit)
    folds = folds_of(model, data, k, stratify, shuffle, seed)
    scores, histories = [], []
    for number, (train, test) in enumerate(folds):
        with using(streams):
            if number:
                model = fresh(build, seen)
            settings = fit | {"callbacks": copy.deepcopy(fit.get("callbacks", ()))}
            history = model.fit(*part(data, train, settings), **settings)
            weight: dict[str, Any] = {"sample_weight": None}
            given = part(data, test, weight)
            scores.append(model.evaluate(*given, **weight))
            histories.append(history)
        if history.interrupted:
            break
    return CrossValidation(tuple(scores), tuple(histories), tuple(folds[: len(scores)]))


def fresh(build: Callable[[], Model], seen: list[Model]) -> Model:
    """Return a new model; raise an error if it knows any data already."""
    model = build()
    if not isinstance(model, Model):
        raise TypeError(f"build must return a Model, got {shown(model)}")
    if model.steps or any(model.network is other.network for other in seen):
        raise ValueError(
            "build must return a new model each time, got one that was there before: make network "
            "and model inside of the function"
        )
    preprocess = model.preprocess
    if preprocess is not None and preprocess.learns and preprocess.fitted:
        raise ValueError(
            f"build returns a model whose {preprocess!r} is fitted, perhaps to samples of the test "
            "part: make the preprocessing inside of the function"
        )
    if any(model.optimizer is other.optimizer for other in seen):
        raise ValueError("build must make a new optimizer each time, inside of the function")
    seen.append(model)
    return model


def samples_of(model: Model, x: Any, y: Any, fit: dict[str, Any]) -> DataSet:
    """Return what is divided: arrays with their weights, or a data set of raw inputs."""
    if isinstance(x, DataSet):
        if y is not None:
            raise TypeError(f"{type(x).__name__} has its own targets: leave y out")
        given = getattr(x, "preprocess", None)
        if given is not None and getattr(given, "learns", False):
            raise ValueError(
                f"{type(x).__name__} has preprocess={given!r}, which all folds would share: give "
                "it to the Model that build makes"
            )
        return x
    if y is None:
        raise TypeError("cross_validate needs targets y beside the inputs, or a data set")
    like = forms(model.trainer)
    x, y = as_data(x, "inputs", like[0]), as_data(y, "targets", like[1])
    weight = fit.pop("sample_weight", None)
    data = DataSet(x, y, None if weight is None else as_data(weight, "sample_weight"))
    lengths = {len(leaf) for leaf in _leaves(x, y, data.weight)}
    if len(lengths) > 1:
        raise ValueError(f"cross_validate needs as many targets as inputs, got {sorted(lengths)}")
    return data


def folds_of(
    model: Model, data: DataSet, k: int, stratify: bool | None, shuffle: bool, seed: int
) -> list[tuple[Array, Array]]:
    """Return the indices of each fold."""
    kind = model.loss.output_kind
    labels = None
    if stratify is not False and (stratify or not kind.no_classes):
        labels = class_labels(getattr(data, "y", None), kind is BINARY_LOGITS)
        if labels is None and stratify:
            raise ValueError("stratify needs a label for each sample, known without reading inputs")
    numbers = np.arange(data.samples)
    if labels is None:
        return list(KFold(k, shuffle, seed).split(numbers))
    return list(StratifiedKFold(k, shuffle, seed).split(numbers, labels))


def part(data: DataSet, numbers: Array, settings: dict[str, Any]) -> tuple[Any, ...]:
    """Return what to call `fit` or `evaluate` with for some samples; add their weights."""
    if type(data) is not DataSet:
        return (data.subset(numbers),)
    batch = data.take(numbers)
    if batch.weight is not None:
        settings["sample_weight"] = batch.weight
    return batch.x, batch.y


def _leaves(*trees: Tree) -> list[Any]:
    found: list[Any] = []
    for tree in trees:
        if tree is not None:
            map_tree(found.append, tree)
    return found
