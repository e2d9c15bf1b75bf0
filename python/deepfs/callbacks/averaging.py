"""Weight averaging: exponential moving average (EMA) and stochastic weight averaging (SWA)."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from .._arrays import Array
from .._check import number, whole
from ..layers import BatchNorm, Container, Layer
from ..optimizers import zeros_like
from ._base import Callback

if TYPE_CHECKING:
    from ..model import Model

PIECE = 2**15  # entries that stay in the CPU cache from one operation to the next


class WeightAverage(Callback):
    """Base of `EMA` and `SWA`: an average of the parameters, in the layout of the arena.

    In `deepfs.Model.fit`, the validation after each epoch measures the average, as soon as there is
    one. Without `fit`, call `set_model` once and `update` after each step. A second `fit` of the
    same model continues the average; with another model, a new one starts.
    """

    updates: int = 0
    _average: Array | None = None
    _in_use: bool = False  # True while the average and the weights are exchanged
    _testing: ExitStack | None = None  # holds the average in place during a validation

    def set_model(self, model: Model) -> None:
        """Set the model whose weights are averaged; another model starts a new average.

        Raises
        ------
        RuntimeError
            If the average is in place of the weights of another model.
        """
        if getattr(self, "model", model) is not model:
            if self._in_use:
                raise RuntimeError(
                    f"{type(self).__name__} has its average in place of the weights of another "
                    "model: end the `with` block first"
                )
            # as in cross-validation: the mean with weights of another model would mean nothing
            self._average, self.updates = None, 0
        super().set_model(model)

    @abstractmethod
    def _share(self) -> float:
        """Return the share of the current weights in the new average."""

    def _settle(self) -> None:
        """Recompute the buffers of the network for its averaged weights."""

    def update(self) -> None:
        """Add the current weights to the average. The first call copies them.

        Raises
        ------
        RuntimeError
            If the average is in use, there is no model, or the model has other parameters now.
        """
        values = self._values()
        if self._average is None:
            self._average = zeros_like(values)
            self._average[:] = values
        else:
            share, difference = self._share(), np.empty(PIECE, values.dtype)
            for a, w in pieces(self._average, values):
                d = np.subtract(w, a, out=difference[: len(a)])
                d *= share
                a += d
        self.updates += 1

    @contextmanager
    def swapped(self) -> Iterator[None]:
        """Use the average in place of the weights inside a ``with`` block.

        Raises
        ------
        RuntimeError
            If nothing has been averaged yet, or the average is in use already.
        """
        values, buffers = self._values(), self._buffers()
        before = [buffer.copy() for buffer in buffers]
        self._exchange(values)
        self._in_use = True
        try:
            self._settle()
            yield
        finally:
            self._in_use = False
            self._exchange(values)
            for buffer, value in zip(buffers, before, strict=True):
                buffer[...] = value

    def apply(self) -> None:
        """Replace the weights by the average for good, and start a new average.

        Raises
        ------
        RuntimeError
            As `swapped`.
        """
        arrays = [self._values(), *self._buffers()]
        with self.swapped():
            averaged = [array.copy() for array in arrays]
        for array, value in zip(arrays, averaged, strict=True):
            array[...] = value
        self._average, self.updates = None, 0

    def _buffers(self) -> list[Array]:
        return list(self.model.network.buffers().values())

    def _exchange(self, values: Array) -> None:
        if self._average is None:
            raise RuntimeError(f"{type(self).__name__} has averaged nothing yet")
        for a, w in pieces(self._average, values):
            a[:], w[:] = w.copy(), a.copy()

    def _values(self) -> Array:
        """Return the weights; raise RuntimeError if they cannot be averaged now."""
        who = type(self).__name__
        if self._in_use:
            raise RuntimeError(f"{who} has its average in place of the weights already")
        if not hasattr(self, "model"):
            raise RuntimeError(f"{who} needs a model: give it to fit, or call set_model")
        values = self.model.trainer.prepare().values
        if self._average is not None and self._average.shape != values.shape:
            raise RuntimeError(f"{who} has averaged {self._average.size} weights, the model has "
                               f"{values.size} now")  # fmt: skip
        return values

    def on_test_begin(self, logs: dict[str, float]) -> None:
        if self.updates:
            self._testing = ExitStack()
            self._testing.enter_context(self.swapped())

    def on_test_end(self, logs: dict[str, float]) -> None:
        if self._testing is not None:
            self._testing.close()
            self._testing = None

    def state(self) -> dict[str, Any]:
        if self._average is None:
            return {"updates": 0}
        arena = self.model.trainer.prepare()
        return {"updates": self.updates} | arena.split(self._average)

    def load_state(self, state: Mapping[str, Any]) -> None:
        self.updates, self._average = whole(state["updates"], "updates", 0), None
        if self.updates:
            arena = self.model.trainer.prepare()
            self._average = zeros_like(arena.values)
            for name, view in arena.split(self._average).items():
                view[...] = state[name]


@dataclass(eq=False)
class EMA(WeightAverage):
    """Exponential moving average (EMA) of the weights, updated after every step.

    average = decay average + (1 - decay) weights. The running statistics of batch norm are not
    averaged: they stay those of the model.

    Parameters
    ----------
    decay : float
        In [0, 1): the average covers about 1 / (1 - decay) steps.

    Raises
    ------
    TypeError, ValueError
        If ``decay`` is not in its range.

    References
    ----------
    Polyak and Juditsky, "Acceleration of stochastic approximation by averaging", 1992;
    ``torch.optim.swa_utils.get_ema_multi_avg_fn``, whose first average is the first weights, too.

    Examples
    --------
    >>> import deepfs as dfs
    >>> model = dfs.Model(dfs.layers.Dense(2), dfs.losses.CrossEntropy(), dfs.optimizers.SGD())
    >>> x, y, average = np.eye(4), np.array([0, 1, 0, 1]), EMA(0.9)
    >>> history = model.fit(x, y, epochs=5, verbose=0, callbacks=[average])
    >>> last = model.predict(x)
    >>> with average.swapped():
    ...     bool((model.predict(x) == last).all())
    False
    >>> bool((model.predict(x) == last).all())
    True
    """

    decay: float = 0.999

    def __post_init__(self) -> None:
        self.decay = number(self.decay, "decay", "[0, 1)")

    def _share(self) -> float:
        return 1 - self.decay

    def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None:
        self.update()


@dataclass(eq=False)
class SWA(WeightAverage):
    """Stochastic weight averaging (SWA): the mean of the weights after several epochs.

    Use it with a constant or cyclic learning rate, see `deepfs.schedules`.

    Parameters
    ----------
    start : int
        Number of epochs before the first one whose weights are averaged, at least 0.
    every : int
        Epochs from one averaged epoch to the next.
    data : array (n, ...), optional
        Training inputs, required if the network has a batch norm: its running statistics do not fit
        averaged weights, so `update_bn` measures them again on these inputs when the average is
        used.
    batch_size : int
        Samples at a time in `update_bn`.

    Raises
    ------
    TypeError, ValueError
        If a setting is of the wrong kind or out of range; ValueError when the training begins, if
        the network has a batch norm and there is no ``data``.

    References
    ----------
    Izmailov et al., "Averaging weights leads to wider optima and better generalization", 2018,
    arXiv:1803.05407.

    Examples
    --------
    >>> import deepfs as dfs
    >>> model = dfs.Model(dfs.layers.Dense(2), dfs.losses.CrossEntropy(), dfs.optimizers.SGD())
    >>> average = SWA(start=2)
    >>> history = model.fit(np.eye(4), np.array([0, 1, 0, 1]), epochs=5, verbose=0,
    ...                     callbacks=[average])
    >>> average.updates
    3
    >>> average.apply()
    """

    start: int
    every: int = 1
    data: ArrayLike | None = field(default=None, repr=False)
    batch_size: int = 256

    def __post_init__(self) -> None:
        self.start, self.every = whole(self.start, "start", 0), whole(self.every, "every")
        self.data = None if self.data is None else np.asarray(self.data)
        self.batch_size = whole(self.batch_size, "batch_size")

    def _share(self) -> float:
        return 1 / (self.updates + 1)

    def _settle(self) -> None:
        with self.model.trainer.holding():
            if moving_norms(self.model.network):
                update_bn(self.model.network, self._inputs(), self.batch_size)

    def _inputs(self) -> ArrayLike:
        if self.data is None:
            raise ValueError("SWA needs data for the running statistics of BatchNorm, got None")
        preprocess = self.model.trainer.facts.preprocess
        return self.data if preprocess is None else preprocess(self.data)

    def on_train_begin(self, logs: dict[str, float]) -> None:
        with self.model.trainer.holding():
            if moving_norms(self.model.network):
                self._inputs()

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        if epoch >= self.start and (epoch - self.start) % self.every == 0:
            self.update()


def update_bn(network: Layer, x: ArrayLike, batch_size: int = 256) -> None:
    """Recompute the running statistics of batch norms, as the plain mean over batches.

    Frozen batch norms, and those with fixed statistics, keep theirs.

    Parameters
    ----------
    network : Layer
        A network whose weights were changed, for instance averaged.
    x : array (n, ...)
        Training inputs, divided into batches of nearly equal size.
    batch_size : int
        Largest number of samples of a batch.

    Raises
    ------
    ValueError
        If there are no inputs, or they do not fit the network.

    References
    ----------
    ``torch.optim.swa_utils.update_bn``.

    Examples
    --------
    >>> norm = BatchNorm()
    >>> y = norm(np.zeros((1, 1)))
    >>> update_bn(norm, np.array([[1.0], [3.0]]))
    >>> norm.buffers()["running_mean"]
    array([2.])
    """
    x, batch_size = np.asarray(x), whole(batch_size, "batch_size")
    if x.ndim < 1 or len(x) == 0:
        raise ValueError(f"update_bn needs at least 1 sample, got inputs of shape {x.shape}")
    network.prepare(x[:1])
    norms = moving_norms(network)
    own = {id(buffer) for norm in norms for buffer in norm.buffers().values()}
    others = [(b, b.copy()) for b in network.buffers().values() if id(b) not in own]
    before = [norm.statistics for norm in norms]
    try:
        for norm in norms:
            norm.statistics = "cumulative"
            norm.buffers()["batches"][...] = 0
        for batch in np.array_split(x, -(-len(x) // batch_size)):
            network.forward(batch, training=True)
    finally:
        for norm, statistics in zip(norms, before, strict=True):
            norm.statistics = statistics
        for buffer, value in others:
            buffer[...] = value


def moving_norms(layer: Layer) -> list[BatchNorm]:
    """Return the batch norms of a layer and its parts whose statistics change in training."""
    if isinstance(layer, Container):
        return [norm for part in layer.named_parts().values() for norm in moving_norms(part)]
    return [layer] if isinstance(layer, BatchNorm) and not layer.fixed else []


def pieces(*arrays: Array) -> Iterator[tuple[Array, ...]]:
    """Yield the same slices of flat arrays, `PIECE` entries at a time."""
    for start in range(0, len(arrays[0]), PIECE):
        yield tuple(array[start : start + PIECE] for array in arrays)
