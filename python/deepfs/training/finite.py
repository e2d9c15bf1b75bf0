"""Inputs and targets by name, and the check that they are finite."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from .._arrays import Array, ignore_overflow
from .._trees import Tree
from ..data.containers import Lazy
from ..layers import Graph, Layer
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
