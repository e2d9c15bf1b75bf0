"""Checks of data and arguments before the first step."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np

from .._arrays import Array, Shape
from .._trees import Tree, leaves, map_shapes, map_tree
from .._warn import warn
from ..data.batches import (
    Batch,
    DataSet,
    OfAnother,
    Stream,
    samples_of,
    shapes_of,
    unprepared,
    weighted_by_class,
)
from ..data.containers import Lazy, as_data
from ..data.facts import check_same_names
from ..data.loader import Loader, as_loader
from ..distributed.shards import Shards
from ..layers import Dense, Flatten, Graph, Layer
from ..layers._container import Container, walk
from ..losses import Combined
from ..trainer import Trainer
from .finite import check_finite, forms, named
from .loaders import checked_loader, with_known_targets


def checked_inputs(trainer: Trainer, x: Any, unfitted: bool = False) -> Tree:
    """Return raw inputs as arrays, or arrays that are read by slices.

    With ``unfitted``, a preprocessing may be fitted later, and their shape is checked then.

    Raises
    ------
    TypeError, ValueError
        If they are no such arrays, if there are none, or if one is not finite.
    """
    x = as_data(x, "inputs", forms(trainer)[0])
    counts = {len(leaf) if leaf.ndim else 0 for leaf in leaves(x)}
    if counts == {0}:
        raise ValueError(f"Model needs at least 1 sample, got inputs of shape {_shapes(x)}")
    if len(counts) > 1:
        raise ValueError(f"Model needs inputs of one length, got shapes {_shapes(x)}")
    preprocess = trainer.facts.preprocess
    for what, leaf in named(x, "inputs"):
        check_finite(leaf, what, trainer.network if preprocess is None else None)
    if preprocess is not None and unfitted and not preprocess.fitted:
        return x
    try:
        first = x if preprocess is None else preprocess(x[:1])
        trainer.build(first)
        trainer.network.out_shape(in_shape(first))
    except ValueError as error:
        ranks = {leaf.ndim for leaf in leaves(x)}
        if ranks <= {1, 3}:  # numbers without an axis of features, images without one of channels
            raise ValueError(f"{error}; x[:, None] adds an axis of length 1") from None
        seen, shape = trainer.facts.summary, tuple(getattr(x, "shape", ()))
        if seen is not None and len(shape) == 4 and shape[3] == len(seen.low) != shape[1]:
            raise ValueError(f"{error}; write x.transpose(0, 3, 1, 2)") from None
        raise
    return x


def in_shape(x: Tree) -> Any:
    """Return the shape of a sample, or the tree of these."""
    return map_tree(lambda leaf: tuple(leaf.shape[1:]), x)


def checked_data(
    trainer: Trainer, x: Any, y: Any, sample_weight: Any = None, class_weight: Any = None
) -> DataSet:
    """Return inputs and targets, checked and preprocessed; name the first wrong sample."""
    return ready(trainer, raw_data(trainer, x, y, sample_weight, class_weight))


def raw_data(
    trainer: Trainer, x: Any, y: Any, sample_weight: Any, class_weight: Any, unfitted: bool = False
) -> DataSet:
    """Return inputs and targets, as far as they can be checked without the outputs' shape."""
    if isinstance(x, DataSet):
        check_same_names(trainer.facts.class_names, x)
    if isinstance(x, Loader):
        return checked_loader(trainer, x, y, sample_weight, class_weight)
    if isinstance(x, DataSet):
        if y is not None or sample_weight is not None or class_weight is not None:
            raise TypeError(
                f"{type(x).__name__} has its own targets and weights: leave out y, sample_weight "
                "and class_weight"
            )
        return x
    x = checked_inputs(trainer, x, unfitted)
    if y is None:
        raise TypeError("Model needs targets beside the inputs, got None")
    y = as_data(y, "targets", forms(trainer)[1])
    samples = samples_of(x)
    for what, leaf in named(y, "targets"):
        if leaf.ndim < 1 or len(leaf) != samples:
            raise ValueError(
                f"Model needs a target for each input, got {samples} inputs and {what} {leaf.shape}"
            )
        check_finite(leaf, what)
    return DataSet(x, y, weights(trainer, y, samples, sample_weight, class_weight))


def ready(trainer: Trainer, data: DataSet) -> DataSet:
    """Return a data set as the network takes it, preprocessed once; check its targets."""
    preprocess = trainer.facts.preprocess
    if preprocess is not None:
        data = unprepared(data).prepared(preprocess)
    check_targets(trainer, data)
    if isinstance(data, Loader):
        return data.for_outputs(trainer.network.out_shape(in_shape(data.first())))
    return data


def weights(trainer: Trainer, y: Tree, samples: int, sample_weight: Any, class_weight: Any) -> Tree:
    """Return the weight of each sample, or None; the class weight of its label is a factor."""
    weight: Tree = None
    if sample_weight is not None:
        form = forms(trainer)[1]
        as_tree = isinstance(sample_weight, (dict, tuple)) and form is not None
        weight = as_data(sample_weight, "sample_weight", form if as_tree else None)
        for what, leaf in named(weight, "sample_weight"):
            if leaf.ndim < 1 or len(leaf) != samples:
                raise ValueError(
                    f"Model needs a weight for each of {samples} samples, got {what} {leaf.shape}"
                )
            part = np.asarray(leaf[:])
            wrong = ~((part >= 0) & (part < np.inf)).reshape(samples, -1).all(axis=1)
            if wrong.any():
                raise ValueError(
                    f"Model needs weights in [0, inf), got another one in sample "
                    f"{int(wrong.argmax())} of {what}"
                )
    if class_weight is None:
        return weight
    by_class = weighted_by_class(y, class_weight)
    if weight is None:
        return by_class
    if isinstance(weight, (tuple, dict)):
        raise TypeError("class_weight takes one array of sample weights, got several")
    own: Array = np.asarray(weight[:])
    return own.reshape(own.shape + (1,) * (by_class.ndim - own.ndim)) * by_class


def check_targets(trainer: Trainer, data: DataSet) -> None:
    """Raise an error for inputs of a wrong shape and for any wrong target."""
    x = data.first()
    trainer.build(x)
    out_shape = trainer.network.out_shape(in_shape(x))
    warn_of_images(trainer.network, x)
    dtype = trainer.network.built_dtype
    largest = max(leaves(map_shapes(math.prod, out_shape)))
    rows = max(1, 2**20 // max(1, largest))
    if isinstance(data, (OfAnother, Loader)):
        data = with_known_targets(data)
    for start in range(0, data.samples, rows):
        batch = data.take(slice(start, start + rows))
        zeros = partial(_zeros, len(batch), dtype)
        outputs = map_shapes(zeros, out_shape)
        try:
            trainer.loss.check_targets(outputs, batch.y, batch.weight)
        except (TypeError, ValueError, IndexError) as error:
            way = way_out(outputs, batch.y)
            where = f", counted from sample {start}" if start else ""
            if not way and not where:
                raise
            raise type(error)(f"{error}{where}{way}") from None


def _zeros(samples: int, dtype: Any, shape: Shape) -> Array:
    return np.zeros((samples, *shape), dtype)


def way_out(outputs: Tree, y: Tree) -> str:
    """Return the line that makes targets fit, if there is one."""
    if not isinstance(outputs, np.ndarray) or not isinstance(y, np.ndarray):
        return ""
    if outputs.shape == (*y.shape, 1):
        return "; write y[:, None]" if y.ndim == 1 else "; write y[..., None]"
    if y.shape == (*outputs.shape[:1], 1) and outputs.ndim == 2 and y.dtype.kind in "iu":
        return "; write y[:, 0]"
    if y.shape == outputs.shape and y.dtype.kind in "iub":
        return "; rows of 0 and 1 are probabilities: write y.astype(float)"
    return ""


def check_batches(
    trainer: Trainer, data: DataSet, batch_size: int, drop_last: bool, shards: Shards
) -> None:
    """Raise ValueError if there is no batch, or the network cannot train on the last one."""
    if drop_last and data.samples < batch_size:
        raise ValueError(f"drop_last leaves no batch of {batch_size}, got {data.samples} samples")
    last = 0 if drop_last else data.samples % batch_size
    whole = last or min(data.samples, batch_size)
    where = "the last batch of an epoch; drop_last=True leaves it out"
    if shards.count > 1:
        where = f"a shard of {where}" if last else "a shard; larger batches or fewer shards help"
    try:
        samples = shards.least(whole)
        shapes = map_tree(lambda leaf: (samples, *leaf.shape[1:]), data.first())
        trainer.network.check_training(shapes)
    except ValueError as error:
        raise ValueError(f"{error}: that would be {where}") from None


def warn_of_images(network: Layer, x: Tree) -> None:
    """Warn of images whose axes or values are those of files, not of deepfs."""
    first = next(
        (layer for _, layer, _ in walk(network, "", network.in_shape or ())
         if not isinstance(layer, Container)), None
    )  # fmt: skip
    for what, leaf in named(x, "inputs"):
        shape = leaf.shape
        if len(shape) == 4 and not isinstance(first, (Flatten, Dense)):
            h, w, c = shape[1:]
            if c in (1, 3, 4) and h > c and w > c:
                warn(
                    f"{what} of shape {shape} look like channels-last images; deepfs takes "
                    f"(n, c, h, w): write x.transpose(0, 3, 1, 2)"
                )
        if leaf.dtype == np.uint8 and len(shape) > 1 and leaf[: min(len(leaf), 64)].max() > 15:
            warn(
                f"{what} are integers up to 255; networks learn from numbers near 1: write "
                "x / np.float32(255)"
            )


def checked_validation(trainer: Trainer, data: Any) -> DataSet:
    """Return inputs, targets and perhaps weights to validate on."""
    data = as_loader(data) or data
    if isinstance(data, DataSet):
        return checked_data(trainer, data, None)
    if not isinstance(data, (tuple, list)) or len(data) not in (2, 3):
        raise TypeError(
            "validation_data must be (inputs, targets) or (inputs, targets, sample weights), or a "
            f"Loader, got {type(data).__name__}"
            + (f" of {len(data)}" if isinstance(data, (tuple, list)) else "")
        )
    return checked_data(trainer, *data)


def checked_stream(trainer: Trainer, x: Any, y: Any, steps_per_epoch: int | None) -> Stream | None:
    """Return an iterable of batches that is to be trained on; None if ``x`` is data itself."""
    is_data = hasattr(x, "shape") or hasattr(x, "__array__") or hasattr(x, "toarray")
    is_data = is_data or isinstance(x, (str, bytes, dict, DataSet))
    if y is not None or is_data or not _iterable(x):
        return None
    preprocess = trainer.facts.preprocess
    if preprocess is not None and not preprocess.fitted:
        raise RuntimeError(
            f"fit cannot fit {preprocess!r} to an iterable: fit it before, as by "
            "model.preprocess.fit(x) on an array of training inputs"
        )
    stream = Stream(x, steps_per_epoch, forms(trainer), preprocess)
    try:
        check_batch(trainer, stream.look(), 1)
        check_targets(trainer, DataSet(*stream.look()))
    except (TypeError, ValueError) as error:
        if hasattr(x, "__getitem__") and not isinstance(x, (list, tuple)):  # of samples
            error.add_note(f"deepfs.data.Loader({type(x).__name__}) makes batches of samples")
        raise
    return stream


def _iterable(x: Any) -> bool:
    if callable(x) and not hasattr(x, "__iter__"):
        raise TypeError(f"fit takes batches from an iterable, got the function {x!r:.60}: call it")
    return hasattr(x, "__iter__") or hasattr(x, "__getitem__")


def check_batch(trainer: Trainer, batch: Batch, number: int) -> None:
    """Raise ValueError if the batch of an iterable is not finite."""
    for what, leaf in (*named(batch.x, "inputs"), *named(batch.y, "targets")):
        check_finite(leaf, f"{what} of batch {number}", trainer.network)


def checked_batch(
    trainer: Trainer, x: Any, y: Any, who: str, sample_weight: Any = None, class_weight: Any = None
) -> Batch:
    """Return a batch as arrays; raise ValueError if it has no samples."""
    if (
        type(x) is type(y) is np.ndarray
        and sample_weight is class_weight is trainer.facts.preprocess is None
        and x.dtype.kind in "iuf"
        and y.dtype.kind in "iuf"
        and x.size
        and not isinstance(trainer.network, Graph)
        and not isinstance(trainer.loss, Combined)
    ):
        return Batch(x, y)  # the fast path: these are data already
    form = forms(trainer)
    x = as_data(x, "inputs", form[0])
    y = as_data(y, "targets", form[1])
    if not all(leaf.ndim and len(leaf) for leaf in leaves(x)):
        raise ValueError(f"Model.{who} needs at least 1 sample, got shape {_shapes(x)}")
    if sample_weight is None and class_weight is None:
        batch = Batch(x, y)
    else:
        batch = Batch(x, y, weights(trainer, y, samples_of(x), sample_weight, class_weight))
    if any(isinstance(leaf, Lazy) for leaf in (*leaves(x), *leaves(y))):
        batch = DataSet(*batch).take(slice(None))
    preprocess = trainer.facts.preprocess
    return batch if preprocess is None else Batch(preprocess(batch.x), batch.y, batch.weight)


def _shapes(tree: Tree) -> Any:
    return tuple(tree.shape) if hasattr(tree, "shape") else shapes_of(tree)
