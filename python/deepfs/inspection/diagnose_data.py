"""What `deepfs.diagnose` asks of the data alone: NaN, scale, labels, and the loss of chance."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnn_core import gemm

from .._arrays import Array, ignore_overflow
from .._trees import Tree, leaves
from ..data.batches import Batch, DataSet
from ..losses import Combined, Loss
from .diagnose_watch import NotFinite, Watch

PIECE = 2**20  # entries that are looked at together
FEATURES = 4096  # of a sample, at most, in distances
NEAREST = 1000  # samples, at most, whose nearest neighbours are asked
FEWEST = 100  # samples from which neighbours tell something


def all_finite(data: DataSet, watch: Watch) -> NotFinite | None:
    """Return where inputs or targets have the first NaN; None if they have none."""
    for where in ("inputs", "targets"):
        tree = getattr(data, "x" if where == "inputs" else "y", ())
        for array in leaves(tree):
            if not isinstance(array, np.ndarray) or array.dtype.kind != "f":
                continue  # reading files would take long
            rows = max(1, PIECE // max(1, int(np.prod(array.shape[1:]))))
            for start in range(0, len(array), rows):
                piece = np.asarray(array[start : start + rows])
                watch.numbers = np.arange(start, start + len(piece))
                if not watch.look(where, "data", piece):
                    found, watch.first = watch.first, None
                    return found
    return None


def finite_samples(batch: Batch) -> Array:
    """Return the numbers of the samples of a batch that have no NaN."""
    good = np.ones(len(batch), bool)
    for leaf in (*leaves(batch.x), *leaves(batch.y)):
        good &= np.isfinite(leaf).reshape(len(leaf), -1).all(axis=1)
    return np.flatnonzero(good)


def scale_of(leaf: Array) -> tuple[float, int, float]:
    """Return the largest root mean square of a feature or channel, its number, and the spread."""
    a = np.asarray(leaf, np.float64).reshape(len(leaf), leaf.shape[1] if leaf.ndim > 1 else 1, -1)
    rms = np.sqrt((a * a).mean(axis=(0, 2)))
    return float(rms.max()), int(rms.argmax()), float(a.std())


def agreement(x: Tree, y: Any) -> tuple[float, float, int] | None:
    """Return how often nearest neighbours have one label, how often chance does, and samples.

    None if targets are no labels, or there are too few.
    """
    if not isinstance(y, np.ndarray) or y.ndim != 1 or y.dtype.kind not in "iu":
        return None
    picks = np.unique(np.linspace(0, len(y) - 1, NEAREST).astype(int))
    if len(picks) < FEWEST:
        return None
    columns = []
    for leaf in leaves(x):
        rows = np.asarray(leaf[picks], np.float32)
        rows = rows.reshape(len(picks), rows.shape[1] if rows.ndim > 1 else 1, -1)
        rows = rows - rows.mean(axis=0)
        spread = rows.std(axis=(0, 2), keepdims=True)  # of each channel or feature
        flat = (rows / np.where(spread > 0, spread, 1)).reshape(len(picks), -1)
        columns.append(flat[:, :: -(-flat.shape[1] // FEATURES)])
    a, labels = np.ascontiguousarray(np.concatenate(columns, axis=1)), y[picks]
    squares = np.square(a).sum(axis=1)
    products = np.empty((len(a), len(a)), np.float32)
    gemm.gemm(a, np.ascontiguousarray(a.T), products)
    distance = squares[:, None] + squares - 2 * products
    np.fill_diagonal(distance, np.inf)
    same = float((labels[distance.argmin(axis=1)] == labels).mean())
    shares = np.unique(labels, return_counts=True)[1] / len(labels)
    return same, float((shares**2).sum()), len(labels)


def chance_loss(loss: Loss, outputs: Tree, y: Tree) -> float | None:
    """Return the loss of the best constant outputs; None where it is not known.

    ``outputs`` are those of any batch: they give shape and dtype.
    """
    if isinstance(loss, Combined):
        return None
    if not isinstance(outputs, np.ndarray) or not isinstance(y, np.ndarray) or outputs.ndim < 2:
        return None
    kind = type(loss).__name__
    shape = (len(y), *outputs.shape[1:])
    if kind in ("CrossEntropy", "NegativeLogLikelihood") and y.dtype.kind in "iu":
        labels = y.ravel()[y.ravel() >= 0].astype(np.intp)
        counts = np.bincount(labels, minlength=shape[1])[: shape[1]]
        best: Array = np.log(np.maximum(counts / max(1, counts.sum()), 1e-12))
        best = best.reshape(-1, *(1 for _ in shape[2:]))
    elif kind == "BinaryCrossEntropy":
        share = np.clip(y.mean(axis=0), 1e-12, 1 - 1e-12)
        best = np.log(share / (1 - share))
    elif kind == "MeanSquaredError" and y.shape == shape:
        best = y.mean(axis=0)
    else:
        return None
    try:
        with ignore_overflow():
            value = loss.forward(np.broadcast_to(best, shape).astype(outputs.dtype), y)[0]
    except (TypeError, ValueError, IndexError):
        return None
    return float(value)
