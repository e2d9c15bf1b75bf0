"""Checks of data and arguments before the first step."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable
from functools import partial
from typing import Any

import numpy as np

from .._arrays import Array, Shape, ignore_overflow
from .._trees import Tree, leaves, map_shapes, map_tree
from ..data.batches import Batch, DataSet, Stream, samples_of, shapes_of, weighted_by_class
from ..data.containers import Lazy, as_data
from ..layers import Dense, Flatten, Graph, Layer
from ..layers._container import Container, walk
from ..losses import Combined
from ..trainer import Trainer

PIECE_ENTRIES = 2**18  # looked at together: a MB of float32


def forms(trainer: Trainer) -> tuple[Tree, Tree]:
    """Return the trees that a network takes as inputs and its loss as targets; None: an array."""
    network, loss = trainer.network, trainer.loss
    return (
        _form(network.inputs) if isinstance(network, Graph) else None,
        _form(loss.losses) if isinstance(loss, Combined) else None,
    )


def _form(tree: Any) -> Tree:
    if isinstance(tree, list):
        return tuple(tree)
    return tree if isinstance(tree, (tuple, dict)) else None


def checked_inputs(trainer: Trainer, x: Any) -> Tree:
    """Return inputs as arrays, or arrays that are read by slices.

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
    for what, leaf in named(x, "inputs"):
        check_finite(leaf, what, trainer.network)
    try:
        trainer.build(x)
        trainer.network.out_shape(in_shape(x))
    except ValueError as error:
        ranks = {leaf.ndim for leaf in leaves(x)}
        if ranks <= {1, 3}:  # numbers without an axis of features, images without one of channels
            raise ValueError(f"{error}; x[:, None] adds an axis of length 1") from None
        raise
    return x


def in_shape(x: Tree) -> Any:
    """Return the shape of a sample, or the tree of these."""
    return map_tree(lambda leaf: tuple(leaf.shape[1:]), x)


def checked_data(
    trainer: Trainer, x: Any, y: Any, sample_weight: Any = None, class_weight: Any = None
) -> DataSet:
    """Return inputs and targets, checked; raise an error that names the first wrong sample."""
    x = checked_inputs(trainer, x)
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
    data = DataSet(x, y, weights(trainer, y, samples, sample_weight, class_weight))
    check_targets(trainer, data)
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


def named(tree: Tree, what: str) -> Iterable[tuple[str, Any]]:
    """Return the arrays of a tree with their names in messages."""
    if isinstance(tree, dict):
        return [(f"{what}[{name!r}]", leaf) for name, leaf in tree.items()]
    if isinstance(tree, tuple):
        return [(f"{what}[{i}]", leaf) for i, leaf in enumerate(tree)]
    return [(what, tree)]


def check_finite(data: Array | Lazy, what: str, network: Layer | None = None) -> None:
    """Raise ValueError for the first sample with NaN, infinity, or what the dtype cannot hold."""
    if data.dtype.kind != "f":
        return
    dtype = data.dtype if network is None else network.built_dtype or network.dtype or data.dtype
    rows = max(1, PIECE_ENTRIES // max(1, math.prod(data.shape[1:])))
    for start in range(0, len(data), rows):
        check_samples(data[start : start + rows], dtype, what, start)


def check_samples(x: Array, dtype: Any, what: str, first: int) -> None:
    """Raise ValueError for a sample that is not finite in a dtype; ``first`` is its number."""
    with ignore_overflow():
        y = x.astype(dtype, copy=False)
    good = np.isfinite(y).reshape(len(y), -1).all(axis=1)
    if good.all():
        return
    at = int(good.argmin())
    entries, kept = np.ravel(x[at]), np.isfinite(np.ravel(y[at]))
    wrong = entries[~kept & np.isfinite(entries)]
    if len(wrong) == 0:
        raise ValueError(f"Model needs finite {what}, got NaN or infinity in sample {first + at}")
    raise ValueError(
        f"Model needs {what} that its dtype {y.dtype} can hold, at most "
        f"{np.finfo(y.dtype).max:.1e}, got {wrong[0]:g} in sample {first + at}"
    )


def check_targets(trainer: Trainer, data: DataSet) -> None:
    """Raise an error for inputs of a wrong shape and for any wrong target."""
    trainer.build(data.x)
    out_shape = trainer.network.out_shape(in_shape(data.x))
    warn_of_images(trainer.network, data.x)
    dtype = trainer.network.built_dtype
    largest = max(leaves(map_shapes(math.prod, out_shape)))
    rows = max(1, 2**20 // max(1, largest))
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


def check_batches(trainer: Trainer, data: DataSet, batch_size: int, drop_last: bool) -> None:
    """Raise ValueError if there is no batch, or the network cannot train on the last one."""
    if drop_last and data.samples < batch_size:
        raise ValueError(f"drop_last leaves no batch of {batch_size}, got {data.samples} samples")
    last = 0 if drop_last else data.samples % batch_size
    samples = last or min(data.samples, batch_size)
    try:
        trainer.network.check_training(map_tree(lambda leaf: (samples, *leaf.shape[1:]), data.x))
    except ValueError as error:
        raise ValueError(
            f"{error}: that would be the last batch of an epoch; drop_last=True leaves it out"
        ) from None


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
                warnings.warn(
                    f"{what} of shape {shape} look like channels-last images; deepfs takes "
                    f"(n, c, h, w): write x.transpose(0, 3, 1, 2)",
                    stacklevel=5,
                )
        if leaf.dtype == np.uint8 and len(shape) > 1 and leaf[: min(len(leaf), 64)].max() > 15:
            warnings.warn(
                f"{what} are integers up to 255; networks learn from numbers near 1: write "
                "x / np.float32(255)",
                stacklevel=5,
            )


def checked_validation(trainer: Trainer, data: Any) -> DataSet:
    """Return inputs, targets and perhaps weights to validate on."""
    if not isinstance(data, (tuple, list)) or len(data) not in (2, 3):
        raise TypeError(
            "validation_data must be (inputs, targets) or (inputs, targets, sample weights), "
            f"got {type(data).__name__}"
            + (f" of {len(data)}" if isinstance(data, (tuple, list)) else "")
        )
    return checked_data(trainer, *data)


def checked_stream(trainer: Trainer, x: Any, y: Any, steps_per_epoch: int | None) -> Stream | None:
    """Return an iterable of batches that is to be trained on; None if ``x`` is data itself."""
    is_data = hasattr(x, "shape") or hasattr(x, "__array__") or hasattr(x, "toarray")
    if y is not None or is_data or isinstance(x, (str, bytes, dict)) or not _iterable(x):
        return None
    stream = Stream(x, steps_per_epoch, forms(trainer))
    check_batch(trainer, stream.look(), 1)
    batch = stream.look()
    check_targets(trainer, DataSet(*batch))
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
    form = forms(trainer)
    if (
        type(x) is type(y) is np.ndarray
        and form == (None, None)
        and sample_weight is class_weight is None
        and x.dtype.kind in "iuf"
        and y.dtype.kind in "iuf"
        and x.ndim
        and len(x)
    ):
        return Batch(x, y)  # the fast path: these are data already
    x = as_data(x, "inputs", form[0])
    y = as_data(y, "targets", form[1])
    if not all(leaf.ndim and len(leaf) for leaf in leaves(x)):
        raise ValueError(f"Model.{who} needs at least 1 sample, got shape {_shapes(x)}")
    if sample_weight is None and class_weight is None:
        batch = Batch(x, y)
    else:
        batch = Batch(x, y, weights(trainer, y, samples_of(x), sample_weight, class_weight))
    if any(isinstance(leaf, Lazy) for leaf in (*leaves(x), *leaves(y))):
        return DataSet(*batch).take(slice(None))
    return batch


def _shapes(tree: Tree) -> Any:
    return tuple(tree.shape) if hasattr(tree, "shape") else shapes_of(tree)
