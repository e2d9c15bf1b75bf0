"""Losses of several outputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .._arrays import Array
from .._check import number
from ..metrics._named import output_name
from ._base import Loss, Terms
from ._output_kinds import OutputKind, SeveralOutputs


@dataclass(eq=False)
class Combined(Loss):
    r"""Weighted sum of a loss per output of a network.

    .. math:: L = \sum_k w_k L_k

    Parameters
    ----------
    losses : tuple or dict of Loss
        One for each output of the network, in their order or by their names.
    weights : tuple or dict of float, optional
        Weight w of each loss, at least 0; by default 1.

    Raises
    ------
    TypeError, ValueError
        If a loss is none, is itself `Combined`, or has ``reduction="none"``; if the names or the
        number of weights, outputs or targets are not those of the losses.

    Notes
    -----
    Shapes: a tuple or dict of outputs, and of targets; sample weights ``(n,)`` for all of them, or
    a tuple or dict. Each loss has its own divisor: over several batches, `sums` of each are
    added before they are divided. `deepfs.Model` makes one of a tuple or dict of losses.

    Examples
    --------
    >>> from deepfs.losses import Combined, CrossEntropy, MeanSquaredError
    >>> loss = Combined({"kind": CrossEntropy(), "size": MeanSquaredError()}, {"size": 0.5})
    >>> outputs = {"kind": np.zeros((1, 2)), "size": np.array([[3.0]])}
    >>> round(loss(outputs, {"kind": np.array([1]), "size": np.array([[1.0]])}), 4)
    2.6931
    """

    losses: Sequence[Loss] | Mapping[str, Loss]
    weights: Sequence[float] | Mapping[str, float] | None = None

    def __post_init__(self) -> None:
        named = isinstance(self.losses, Mapping)
        if not named and not isinstance(self.losses, (tuple, list)):
            raise TypeError(f"Combined takes a tuple or dict of losses, got {self.losses!r}")
        self.losses = dict(self.losses) if isinstance(self.losses, Mapping) else tuple(self.losses)
        if not self.losses:
            raise ValueError("Combined needs at least one loss, got none")
        for name, loss in self.parts():
            if not isinstance(name, (int, str)):
                raise TypeError(f"Combined takes names that are str, got {name!r}")
            if not isinstance(loss, Loss) or isinstance(loss, Combined):
                raise TypeError(f"Combined needs a deepfs Loss per output, got {loss!r}")
            if loss.reduction == "none":
                raise ValueError('Combined needs losses that are one number, got reduction="none"')
        self.weights = self._checked_weights()

    def _checked_weights(self) -> Any:
        """Return weights as a tuple or dict of floats, one for each loss; or None."""
        given, known = self.weights, [name for name, _ in self.parts()]
        if given is None:
            return None
        if isinstance(self.losses, Mapping) != isinstance(given, Mapping):
            raise TypeError(
                f"Combined takes weights like its losses, a {type(self.losses).__name__}, "
                f"got {given!r}"
            )
        if isinstance(given, Mapping):
            unknown = [name for name in given if name not in known]
            if unknown:
                raise ValueError(f"Combined has losses of {known}, got a weight of {unknown[0]!r}")
            return {n: number(given.get(n, 1.0), f"weight of {n!r}", "[0, inf)") for n in known}
        given = tuple(given)
        if len(given) != len(known):
            raise ValueError(f"Combined needs {len(known)} weights, got {len(given)}")
        return tuple(number(weight, "weight", "[0, inf)") for weight in given)

    def parts(self) -> Iterator[tuple[Any, Loss]]:
        """Yield the key of each output, a name or a number, and its loss."""
        losses: Any = self.losses
        yield from losses.items() if isinstance(losses, Mapping) else enumerate(losses)

    @property
    def output_kind(self) -> OutputKind:  # type: ignore[override]
        """Kinds of all outputs."""
        return SeveralOutputs({key: loss.output_kind for key, loss in self.parts()})

    @property
    def weight_array(self) -> Array:
        """Weights in the order of the losses."""
        if self.weights is None:
            return np.ones(len(self.losses))
        weights: Any = self.weights
        return np.array([weights[key] for key, _ in self.parts()])

    def split(self, tree: Any, what: str) -> list[Any]:
        """Return the entries of a tuple or dict in the order of the losses."""
        keys = [key for key, _ in self.parts()]
        kind = "dict" if isinstance(self.losses, Mapping) else "tuple"
        if isinstance(tree, Mapping) != (kind == "dict") or not isinstance(
            tree, (Mapping, tuple, list)
        ):
            got = f"shape {tree.shape}" if isinstance(tree, np.ndarray) else type(tree).__name__
            raise TypeError(f"Combined takes a {kind} of {len(keys)} {what}, got {got}")
        if isinstance(tree, Mapping):
            if set(tree) != set(keys):
                raise ValueError(f"Combined takes {what} of {keys}, got {list(tree)}")
        elif len(tree) != len(keys):
            raise ValueError(f"Combined takes {len(keys)} {what}, got {len(tree)}")
        return [tree[key] for key in keys]

    def _given(self, outputs: Any, targets: Any, sample_weight: Any) -> list[tuple[Any, ...]]:
        """Return loss, outputs, targets and sample weights of each output."""
        if isinstance(sample_weight, (Mapping, tuple)):
            weights = self.split(sample_weight, "sample weights")
        else:
            weights = [sample_weight] * len(self.losses)
        losses = [loss for _, loss in self.parts()]
        y, t = self.split(outputs, "outputs"), self.split(targets, "targets")
        return list(zip(losses, y, t, weights, strict=True))

    def forward(
        self, outputs: Any, targets: Any, sample_weight: Any = None
    ) -> tuple[float, list[Any]]:
        given = self._given(outputs, targets, sample_weight)
        cache = [loss.forward(y, t, weight)[1] for loss, y, t, weight in given]
        return self.value(*self.totals(cache)), cache

    def totals(self, cache: Any) -> tuple[Array, Array]:
        """Return sum and divisor of each output."""
        found = [loss.totals(c) for (_, loss), c in zip(self.parts(), cache, strict=True)]
        return tuple(np.concatenate(arrays) for arrays in zip(*found, strict=True))  # type: ignore[return-value]

    def values(self, sums: Array, divisors: Array) -> dict[str, float]:
        """Return the loss of each output by name or number, without its weight."""
        return {
            output_name(key): loss.value(sums[k : k + 1], divisors[k : k + 1])
            for k, (key, loss) in enumerate(self.parts())
        }

    def value(self, sums: Array, divisors: Array) -> float:
        """Return the weighted sum of the losses, given sums and divisors of one or more batches."""
        found = self.values(sums, divisors).values()
        return float(sum(w * v for w, v in zip(self.weight_array, found, strict=True)))

    def check_targets(self, outputs: Any, targets: Any, sample_weight: Any = None) -> None:
        for loss, y, t, weight in self._given(outputs, targets, sample_weight):
            loss.check_targets(y, t, weight)

    def divisor(self, cache: Any) -> float:
        """Return 1: each output has a divisor of its own, see `totals`."""
        return 1.0

    def backward(self, cache: Any, upstream: ArrayLike = 1.0, divisors: Array | None = None) -> Any:
        """Return the gradient with respect to each output, as a tuple or dict."""
        given = upstream if isinstance(upstream, float) else self._upstream(upstream, ())
        gradients = [
            loss.backward(c, float(given * w), None if divisors is None else divisors[k : k + 1])
            for k, ((_, loss), c, w) in enumerate(
                zip(self.parts(), cache, self.weight_array, strict=True)
            )
        ]
        if isinstance(self.losses, Mapping):
            return {
                key: gradient for (key, _), gradient in zip(self.parts(), gradients, strict=True)
            }
        return tuple(gradients)

    def terms(
        self, outputs: ArrayLike, targets: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> Terms:
        """Raise TypeError: each loss has terms of its own."""
        raise TypeError("Combined has no terms of its own: use sums, or the terms of its losses")

    def _gradient(self, cache: Any, scale: Any) -> Array:
        raise NotImplementedError  # backward asks the losses
