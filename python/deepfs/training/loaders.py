"""Checks of a `deepfs.data.Loader` before the first step, and data for evaluation."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import closing
from typing import Any

import numpy as np

from .._check import whole
from .._trees import Tree, map_tree
from ..data.batches import Batch, DataSet, weighted_by_class
from ..data.containers import as_data
from ..data.loader import Loader, as_loader
from ..data.sources import ArraySource
from ..trainer import Trainer
from .inputs import (
    check_finite,
    check_targets,
    checked_data,
    checked_inputs,
    forms,
    in_shape,
    named,
)

AT_ONCE = 256  # samples of arrays in evaluation and prediction


def checked_loader(trainer: Trainer, loader: Loader, y: Any, given: Mapping[str, Any]) -> Loader:
    """Return a loader whose samples fit the network and the loss.

    Parameters
    ----------
    trainer : Trainer
    loader : Loader
    y, given : None
        Targets and weights beside it, which have no place there.

    Raises
    ------
    TypeError, ValueError
        For the first sample that does not fit. Of a source that is read one sample at a time, that
        is looked for in the first sample and in the targets alone.
    """
    for name, value in {"y": y, **given}.items():
        if value is not None:
            raise TypeError(
                f"a Loader has its own targets and weights: leave {name} out, or write "
                "Loader((inputs, targets, weights))"
            )
    if loader.y is None:
        raise TypeError("Model needs targets beside the inputs, got a Loader without targets")
    example = checked_example(trainer, loader)
    as_data(example.y, "targets", forms(trainer)[1])
    samples, targets = loader.samples, loader.source.targets
    if targets is None:
        check_targets(trainer, DataSet(*example))
        return loader
    for what, leaf in named(targets, "targets"):
        check_finite(leaf, what)
    alike = map_tree(lambda leaf: np.broadcast_to(leaf[0], (samples, *leaf.shape[1:])), example.x)
    check_targets(trainer, DataSet(alike, loader.y))
    return loader


def checked_example(trainer: Trainer, loader: Loader) -> Batch:
    """Return the first sample, for which the network is built, if it fits."""
    if loader.preprocess is not None and not loader.preprocess.fitted:
        raise ValueError("the Loader's preprocess is not fitted: fit(loader) does it, or "
                         "loader.fit_preprocess()")  # fmt: skip
    if isinstance(loader.source, ArraySource):
        for what, leaf in named(loader.source.x, "inputs"):
            check_finite(leaf, what, trainer.network)
    example = loader.take(np.zeros(1, np.int64))
    x = as_data(example.x, "inputs", forms(trainer)[0])
    trainer.build(x)
    trainer.network.out_shape(in_shape(x))
    return example


def data_to_train(
    trainer: Trainer, loader: Loader, y: Any, sample_weight: Any, class_weight: Any
) -> Loader:
    """Return a loader to train on: its preprocessing fitted, its samples checked and weighted."""
    loader.fit_preprocess()
    loader = checked_loader(trainer, loader, y, {"sample_weight": sample_weight})
    loader = loader.for_outputs(trainer.network.out_shape(in_shape(loader.first())))
    if class_weight is None:
        return loader
    return loader.weighted(weighted_by_class(loader.y, class_weight))


def data_to_evaluate(
    trainer: Trainer, x: Any, y: Any, batch_size: int | None, sample_weight: Any
) -> tuple[DataSet, int]:
    """Return data to measure loss and metrics on, and how many samples at a time."""
    batch_size = None if batch_size is None else whole(batch_size, "batch_size")
    loader = as_loader(x)
    if loader is None:
        return checked_data(trainer, x, y, sample_weight), batch_size or AT_ONCE
    loader = checked_loader(trainer, loader, y, {"sample_weight": sample_weight})
    return loader, batch_size or loader.batch_size


def checked_validation(trainer: Trainer, data: Any) -> DataSet:
    """Return inputs, targets and perhaps weights to validate on."""
    loader = as_loader(data)
    if loader is not None:
        return checked_loader(trainer, loader, None, {})
    if not isinstance(data, (tuple, list)) or len(data) not in (2, 3):
        raise TypeError(
            "validation_data must be (inputs, targets) or (inputs, targets, sample weights), or a "
            f"Loader, got {type(data).__name__}"
            + (f" of {len(data)}" if isinstance(data, (tuple, list)) else "")
        )
    return checked_data(trainer, *data)


def inputs_in_parts(trainer: Trainer, x: Any, batch_size: int | None) -> Generator[Tree]:
    """Yield inputs to predict from, some samples at a time; check them first."""
    batch_size = None if batch_size is None else whole(batch_size, "batch_size")
    data: DataSet | None = as_loader(x)
    if isinstance(data, Loader):
        checked_example(trainer, data)
        size = batch_size or data.batch_size
    else:
        x = checked_inputs(trainer, x)
        data, size = DataSet(x, x), batch_size or AT_ONCE
    return _inputs(data, size)


def _inputs(data: DataSet, size: int) -> Generator[Tree]:
    with closing(data.parts(size)) as parts:
        for batch in parts:
            yield batch.x
