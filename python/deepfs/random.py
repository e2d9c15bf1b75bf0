"""Random numbers, determined by a seed, a stream and a call, on any number of threads.

Kernels: ``src/cnn_core/random.pyx``. The process has one seed, and a `deepfs.Model` may have its
own. Everything that draws (the initial values of a parameter, a dropout layer, the shuffling of one
`fit`) has a stream of its own, numbered in the order in which they are made.

A forked child gets a seed of its own if its parent has not chosen one, so workers of a pool start
from different weights. After `set_seed` a child goes on with the numbers of its parent.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from cnn_core import random as kernel

from ._check import shape as shape_of
from ._check import whole


class Streams:
    """A seed, and the number of streams of it that are in use."""

    def __init__(self, seed: int, used: int = 0) -> None:
        self.seed, self.used = seed, used


def random_seed() -> int:
    """Return a seed from the random numbers of the system."""
    return int.from_bytes(os.urandom(8)) >> 1


_process = Streams(random_seed())
_chosen = False  # whether `set_seed` has set the seed of the process
_current: ContextVar[Streams | None] = ContextVar("streams", default=None)  # of a model
_lock = threading.Lock()


def _streams() -> Streams:
    """Return the streams in use: those of a model, see `using`, or those of the process."""
    return _current.get() or _process


@contextmanager
def using(streams: Streams | None) -> Iterator[None]:
    """Draw from other streams inside a ``with`` block, in this thread; None: as before."""
    if streams is None:
        yield
        return
    token = _current.set(streams)
    try:
        yield
    finally:
        _current.reset(token)


def _after_fork() -> None:
    """Give a forked child a lock that no thread of its parent holds, and a seed of its own."""
    global _lock
    _lock = threading.Lock()
    if not _chosen:
        _process.seed, _process.used = random_seed(), 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def set_seed(seed: int) -> None:
    """Set the random seed of this process.

    Parameters
    ----------
    seed : int
        From 0 to 2**63 - 1. Without this call, each process has a random seed.

    Raises
    ------
    TypeError, ValueError
        If ``seed`` is not an int in this range.

    Notes
    -----
    Initial weights, shuffling and dropout depend on it; NumPy's own generators do not.

    A forked child (a worker of a pool, on Linux) has the seed of its parent and goes on where that
    was: all workers make the same weights. For different ones that repeat, call
    ``set_seed(seed + worker)`` in each. Without this call each child has a random seed of its own.

    Examples
    --------
    >>> import deepfs as dfs
    >>> dfs.set_seed(0)
    >>> layer = dfs.layers.Dense(2)
    >>> y = layer(np.ones((1, 3)))
    >>> dfs.set_seed(0)
    >>> bool((dfs.layers.Dense(2)(np.ones((1, 3))) == y).all())
    True
    """
    global _chosen
    set_state((whole(seed, "seed", 0, 2**63 - 1), 0))
    _chosen = True


def get_state() -> tuple[int, int]:
    """Return the seed and the number of streams in use."""
    with _lock:
        return _streams().seed, _streams().used


def set_state(state: tuple[int, int]) -> None:
    """Restore what `get_state` returned."""
    with _lock:
        _streams().seed, _streams().used = state


def checked_state(state: Any) -> tuple[int, int]:
    """Return a state that was read from a file; raise TypeError or ValueError if it is none."""
    seed, used = state
    return whole(seed, "seed", 0, 2**63 - 1), whole(used, "the number of streams", 0)


def get_seed() -> int:
    """Return the seed."""
    return _streams().seed


def new_stream() -> int:
    """Return the number of a new stream."""
    with _lock:
        streams = _streams()
        streams.used += 1
        return (streams.used - 1) % 2**32


class Random:
    """A stream of random numbers. Each call of a method draws new ones.

    Parameters
    ----------
    seed, stream : int, optional
        They determine the numbers. By default the seed of the process and a new stream.

    Examples
    --------
    >>> Random(seed=0, stream=0).uniform((2,)).round(3)
    array([0.399, 0.736])
    """

    def __init__(self, seed: int | None = None, stream: int | None = None) -> None:
        self.seed = get_seed() if seed is None else whole(seed, "seed", 0, 2**63 - 1)
        self.stream = new_stream() if stream is None else whole(stream, "stream", 0, 2**32 - 1)
        self.calls = 0

    def uniform(self, shape: tuple[int, ...], dtype: DTypeLike = np.float64) -> NDArray[Any]:
        """Return uniform numbers in [0, 1)."""
        return self._draw(kernel.uniform, np.empty(shape_of(shape), dtype))

    def normal(self, shape: tuple[int, ...], dtype: DTypeLike = np.float64) -> NDArray[Any]:
        """Return normal numbers of mean 0 and standard deviation 1."""
        return self._draw(kernel.normal, np.empty(shape_of(shape), dtype))

    def permutation(self, n: int) -> NDArray[np.int64]:
        """Return 0 ... n - 1 in random order."""
        return self._draw(kernel.permutation, np.empty(whole(n, "n", 0), np.int64))

    def _draw(self, fill: Any, out: NDArray[Any]) -> NDArray[Any]:
        fill(out.reshape(-1), self.seed, self.stream, self.calls)
        self.calls += 1
        return out
