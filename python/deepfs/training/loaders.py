"""Checks of a `deepfs.data.Loader` before the first step."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..data.batches import DataSet, weighted_by_class
from ..data.containers import as_data
from ..data.loader import Loader
from ..data.sources import ArraySource
from ..data.views import View
from ..trainer import Trainer
from .finite import check_finite, forms, named


def checked_loader(
    trainer: Trainer, loader: Loader, y: Any, sample_weight: Any, class_weight: Any
) -> Loader:
    """Return a loader whose samples are finite, as far as they are in arrays, with weights.

    Raises
    ------
    TypeError, ValueError
        If there are targets or weights beside it, or none in it; or for the first sample that is
        not finite, or not of the form that the network takes.
    """
    for name, value in {"y": y, "sample_weight": sample_weight}.items():
        if value is not None:
            raise TypeError(
                f"a Loader has its own targets and weights: leave {name} out, or write "
                "Loader((inputs, targets, weights))"
            )
    if loader.source.target_shapes is None:
        raise TypeError("Model needs targets beside the inputs, got a Loader without targets")
    check_inputs(trainer, loader)
    targets = loader.source.targets
    if targets is not None:
        for what, leaf in named(as_data(targets, "targets", forms(trainer)[1]), "targets"):
            check_finite(leaf, what)
    if class_weight is None:
        return loader
    return loader.weighted(weighted_by_class(loader.y, class_weight))


def check_inputs(trainer: Trainer, loader: Loader) -> None:
    """Raise an error for inputs in arrays that are not finite, or not of the network's form."""
    source = loader.source
    if isinstance(source, ArraySource):
        x = as_data(source.x, "inputs", forms(trainer)[0])
        for what, leaf in named(x, "inputs"):
            check_finite(leaf, what, trainer.network if source.scale is None else None)


def check_sizes(trainer: Trainer, data: DataSet) -> None:
    """Raise ValueError if a network does not take images of all sizes that it is to be trained on.

    The network is built, for images of full size.
    """
    resizing = data.pipeline.resizing if isinstance(data, Loader) else None
    if resizing is None:
        return
    network, shape = trainer.network, data.first().shape[1:]
    who, outputs = "ProgressiveResizing needs a network for images of any size", None
    for size in resizing.sizes(shape):
        try:
            outputs = network.out_shape(size)
        except ValueError as error:
            raise ValueError(
                f"{who}: smaller ones, {size}, are refused ({error}): put GlobalAvgPool2D() before "
                "the first Dense, or take a larger initial_scale"
            ) from None
        if outputs != network.out_shape(shape):
            raise ValueError(
                f"{who} with the same outputs, got {outputs} for images {size} and "
                f"{network.out_shape(shape)} for {shape}: put GlobalAvgPool2D() at their end"
            )


def with_known_targets(data: DataSet) -> DataSet:
    """Return targets and weights alone, if they are known without reading inputs.

    Of a source that is read one sample at a time, the first sample stands for all.
    """
    if data.y is None:
        return data
    if isinstance(data.y, View):
        return data.subset(np.zeros(1, np.int64))
    return DataSet(data.y, data.y, data.weight)
