"""Pruning: weights or whole filters that are smallest become zero during training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from .._arrays import Array, Shape
from .._check import flag, number, one_of, whole
from .._warn import warn
from ..callbacks import Callback
from ..layers import Parameter
from ._units import Unit, units_of

if TYPE_CHECKING:
    from ..model import Model

MASK = "mask/"  # what names of masks begin with in the state
LISTED = 6  # names in a message


def prune(
    sparsity: float = 0.5,
    structured: bool = False,
    *,
    start: int = 0,
    stop: int = 1000,
    every: int = 100,
    names: str | Sequence[str] = "*weight",
    scope: str = "layer",
    power: float = 3.0,
    initial: float = 0.0,
) -> Pruning:
    r"""Return a callback that sets the smallest weights to zero while a model learns.

    After t steps of `fit`, the share of zeros is

    .. math:: s_t = s + (s_0 - s) \left(1 - \frac{t - start}{stop - start}\right)^{power}

    and 0 before ``start``. What has become zero stays zero.

    Parameters
    ----------
    sparsity : float
        Share of zeros in the end, s, in [0, 1).
    structured : bool
        False: set single weights to zero, those of the smallest absolute values. True: set whole
        filters and dense units to zero, those of the smallest norms, with their biases and the
        gamma and beta of a batch norm after them: then `shrink` removes them. Filters whose
        outputs are added, as in residual networks, go together. At least one of a layer stays,
        and so do outputs of the network.
    start, stop : int
        Steps after which pruning begins and ends, counted from the beginning of `fit`, at least 0.
    every : int
        Steps from one choice of weights to the next.
    names : str or sequence of str
        Patterns of the names of weights that may be pruned, as in `deepfs.optimizers.Group`.
        Frozen weights never are.
    scope : {"layer", "network"}
        Whether the share is that of each layer, or of all together: then absolute values, or the
        root mean squares of filters, are compared across layers.
    power : float
        Exponent of the schedule, above 0: 3 is that of the paper, 1 is linear.
    initial : float
        Share of zeros at ``start``, :math:`s_0`, from 0 to ``sparsity``.

    Returns
    -------
    Pruning
        The callback.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of range; ValueError when training begins, if no
        weight has such a name, or there is nothing to prune.

    Notes
    -----
    Weights are set to zero after each step, so that the validation and checkpoints have zeros; a
    resumed run has the bits of one that was never interrupted. In the list of callbacks it comes
    before those that average or save weights. `callbacks.EarlyStopping` may restore weights from
    before the end of pruning: give it ``start_from_epoch``. Unstructured zeros save no time, since
    kernels multiply by them; they are for files and studies.

    References
    ----------
    Zhu and Gupta, "To prune, or not to prune", 2017, arXiv:1710.01878, the schedule.
    Li, Kadav, Durdanovic, Samet and Graf, "Pruning filters for efficient ConvNets", 2017,
    arXiv:1608.08710, filters by norm (there the sum of absolute values).

    Examples
    --------
    >>> import deepfs as dfs
    >>> net = dfs.layers.Sequential([dfs.layers.Dense(8), dfs.layers.ReLU(), dfs.layers.Dense(2)])
    >>> model = dfs.Model(net, dfs.losses.CrossEntropy(), dfs.optimizers.Adam())
    >>> x, y = np.eye(8), np.arange(8) % 2
    >>> callback = dfs.compress.prune(0.75, structured=True, stop=20, every=5)
    >>> history = model.fit(x, y, 4, epochs=15, verbose=0, callbacks=[callback])
    >>> history["sparsity"][-1]
    0.75
    >>> dfs.compress.shrink(model, samples=0)[0].network["dense_1"].units
    2
    """
    return Pruning(sparsity, structured, start, stop, every, names, scope, power, initial)


@dataclass(eq=False)
class Pruning(Callback):
    """What `prune` returns; its settings are the arguments there.

    It adds ``sparsity`` to the logs of an epoch: the share of weights, or with ``structured`` of
    filters and units, that are zero, of those that may be pruned.

    Attributes
    ----------
    count : int
        Steps since the beginning of `fit`.
    """

    sparsity: float
    structured: bool
    start: int
    stop: int
    every: int
    names: str | Sequence[str]
    scope: str
    power: float
    initial: float

    count: int = field(default=0, init=False, repr=False)

    _adds: ClassVar[tuple[str, ...]] = ("sparsity",)
    _left_out: ClassVar = True  # of a run that only tries everything
    _masks: dict[str, Array] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        self.sparsity = number(self.sparsity, "sparsity", "[0, 1)")
        self.structured = flag(self.structured, "structured")
        self.start, self.stop = whole(self.start, "start", 0), whole(self.stop, "stop", 0)
        if self.stop < self.start:
            raise ValueError(f"stop must be at least start, got {self.stop} and {self.start}")
        self.every = whole(self.every, "every")
        given = (self.names,) if isinstance(self.names, str) else self.names
        if not isinstance(given, Sequence) or not all(isinstance(n, str) for n in given):
            raise TypeError(f"names must be patterns of names of weights, got {self.names!r}")
        self.names = self.names if isinstance(self.names, str) else tuple(given)
        one_of(self.scope, "scope", ("layer", "network"))
        self.power = number(self.power, "power", "(0, inf)")
        self.initial = number(self.initial, "initial", "[0, 1)")
        if self.initial > self.sparsity:
            raise ValueError(
                f"initial must be at most sparsity, got {self.initial:g} and {self.sparsity:g}"
            )

    def share_at(self, count: int) -> float:
        """Return the share of zeros after ``count`` steps."""
        if count < self.start:
            return 0.0
        if count >= self.stop:
            return self.sparsity
        left = 1 - (count - self.start) / (self.stop - self.start)
        return float(self.sparsity + (self.initial - self.sparsity) * left**self.power)

    # Hooks

    def set_model(self, model: Model) -> None:
        """Set the model that is pruned; another model starts without zeros."""
        if getattr(self, "model", model) is not model:
            self._masks = {}
        super().set_model(model)

    def on_train_begin(self, logs: dict[str, float]) -> None:
        self.count, parameters = 0, self._parameters()
        self._masks = {  # a layer may have been exchanged
            name: mask
            for name, mask in self._masks.items()
            if name in parameters and parameters[name].storage.shape == mask.shape
        }
        if not any(map(len, self._groups())):
            what = "filters or units" if self.structured else "weights"
            raise ValueError(
                f"prune has no {what} to choose from: all are frozen, outputs of the network, or "
                "in layers that must stay"
            )

    def on_train_batch_begin(self, batch: int, logs: dict[str, float]) -> None:
        if self.count == 0:
            self._choose_if_due()

    def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None:
        self.count += 1
        self._choose_if_due()
        self._apply()

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        logs["sparsity"] = self._share()

    def on_train_end(self, logs: dict[str, float]) -> None:
        self._apply()  # weights may have been restored
        if self.count < self.stop:
            warn(
                f"prune ends after {self.stop} steps, and fit took {self.count}: the share of "
                f"zeros is {self._share():.3g} of {self.sparsity:g}; give stop={self.count}"
            )

    def state(self) -> dict[str, Any]:
        packed = {f"{MASK}{name}": packed_bits(mask) for name, mask in self._masks.items()}
        return {"count": self.count, **packed}

    def load_state(self, state: Mapping[str, Any]) -> None:
        self.count = whole(state["count"], "count", 0)
        parameters, self._masks = self._parameters(), {}
        for name in [name for name in state if name.startswith(MASK)]:
            shape = parameters[name.removeprefix(MASK)].storage.shape
            self._masks[name.removeprefix(MASK)] = unpacked_bits(state[name], shape)

    # Choice

    def _parameters(self) -> dict[str, Parameter]:
        return self.model.network.parameters()

    def _chosen(self, name: str) -> bool:
        patterns = (self.names,) if isinstance(self.names, str) else self.names
        return any(fnmatchcase(name, pattern) for pattern in patterns)

    def _is_frozen(self, name: str) -> bool:
        """Return whether no step changes a parameter, by `Layer.freeze` or by a `Group`."""
        groups = [g for g in self.model.optimizer.groups if g.frozen is not None]
        said = [bool(group.frozen) for group in groups if group.matches(name)]
        return self._parameters()[name].frozen or (bool(said) and said[-1])

    def _groups(self) -> list[list[Any]]:
        """Return what is compared, layer by layer: names of weights, or units."""
        parameters = self._parameters()
        weights = [n for n, p in parameters.items() if self._chosen(n) and p.storage.ndim > 1]
        if not weights:
            names = [name for name, p in parameters.items() if p.storage.ndim > 1]
            listed = ", ".join(names[:LISTED]) + ", ..." * (len(names) > LISTED)
            raise ValueError(f"no weight matches names={self.names!r} of prune; there are {listed}")
        if self.structured:
            return units_of(self.model.network, self._chosen, self._is_frozen)
        once = {id(parameters[name]): name for name in reversed(weights)}
        return [[name] for name in reversed(once.values()) if not self._is_frozen(name)]

    def _choose_if_due(self) -> None:
        """Choose more weights, if it is the step for it."""
        since = self.count - self.start
        if since < 0 or self.count > self.stop or (since % self.every and self.count < self.stop):
            return
        groups, share = self._groups(), self.share_at(self.count)
        if self.scope == "network":
            groups = [[entry for group in groups for entry in group]]
        for group in groups:
            if self.structured:
                self._choose_units(group, share)
            else:
                self._choose_weights(group, share)
        self._apply()

    def _choose_weights(self, names: list[str], share: float) -> None:
        parameters = self._parameters()
        sizes = [parameters[name].storage.reshape(-1) for name in names]
        values = np.abs(np.concatenate(sizes))
        values[np.concatenate([self._mask(name).reshape(-1) for name in names])] = -1
        count = round(share * len(values))
        flat = values < 0
        if count > flat.sum():
            flat[np.argpartition(values, count - 1)[:count]] = True
        ends = np.cumsum([len(size) for size in sizes])[:-1]
        for name, part in zip(names, np.split(flat, ends), strict=True):
            self._mask(name)[...] = part.reshape(self._mask(name).shape)

    def _choose_units(self, units: list[Unit], share: float) -> None:
        names = {id(p): name for name, p in reversed(self._parameters().items())}
        norms = [-1.0 if self._is_zero(unit, names) else unit.norm() for unit in units]
        count = min(round(share * len(units)), len(units) - 1)
        for i in np.argsort(norms, kind="stable")[:count].tolist():
            for parameter, axis, index in [*units[i].weights, *units[i].rest]:
                mask = parameter.logical(self._mask(names[id(parameter)]))
                np.moveaxis(mask, axis, 0)[index] = True

    def _is_zero(self, unit: Unit, names: Mapping[int, str]) -> bool:
        """Return whether a unit is chosen already."""
        parameter, axis, index = unit.weights[0]
        mask = parameter.logical(self._mask(names[id(parameter)]))
        return bool(mask.take(index, axis).all())

    def _mask(self, name: str) -> Array:
        """Return the mask of a parameter, in its physical order: True where it is zero."""
        if name not in self._masks:
            self._masks[name] = np.zeros(self._parameters()[name].storage.shape, bool)
        return self._masks[name]

    def _apply(self) -> None:
        parameters = self._parameters()
        for name, mask in self._masks.items():
            np.putmask(parameters[name].storage, mask, 0)

    def _share(self) -> float:
        """Return the share of what may be pruned that is zero."""
        groups = self._groups()
        if self.structured:
            names = {id(p): name for name, p in reversed(self._parameters().items())}
            zero = [self._is_zero(unit, names) for group in groups for unit in group]
            return sum(zero) / max(len(zero), 1)
        masks = [self._mask(name) for group in groups for name in group]
        return sum(int(mask.sum()) for mask in masks) / max(sum(mask.size for mask in masks), 1)


def packed_bits(mask: Array) -> Array:
    """Return a mask as whole numbers of 64 bits, which files take."""
    octets = np.packbits(mask)
    padded = np.zeros(-(-len(octets) // 8) * 8, np.uint8)
    padded[: len(octets)] = octets
    return padded.view("<u8").astype(np.uint64)


def unpacked_bits(packed: Array, shape: Shape) -> Array:
    """Return the mask of this shape that `packed_bits` has packed."""
    octets = packed.astype("<u8").view(np.uint8)
    return np.unpackbits(octets, count=prod(shape)).astype(bool).reshape(shape)
