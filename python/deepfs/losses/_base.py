"""Loss, the base class of losses, and ElementWise, that of losses with a term per number."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from .._arrays import Array, Shape, dtype_of, ignore_overflow
from .._check import array
from .._names import INSTEAD
from .._settings import Settings
from ..layers._axes import size_hint
from ._output_kinds import UNKNOWN, OutputKind

REDUCTIONS = ("mean", "sum", "none")

Scale: TypeAlias = float | Array
Terms: TypeAlias = tuple[Array, float, Any]


class Loss(Settings):
    """Base class of losses: a term per sample, and a rule that makes one number of the terms.

    To write one, define `terms` and `_gradient`; `deepfs.testing.check_loss` checks it.
    ``reduction`` is "mean" (the sum of the terms divided by the sum of their weights), "sum", or
    "none" (the terms themselves). If the sum of the weights is 0, as for an empty batch, the mean
    is 0.

    Over several batches, add up what `sums` or `totals` returns and call `value` once: a mean of
    means would weight the batches wrongly.

    Attributes
    ----------
    output_kind : OutputKind
        Class attribute: what the outputs of a network mean to this loss. `deepfs.Model` reads from
        it the default metric, ``predict_proba`` and ``predict_classes``. By default unknown.
    """

    reduction: str = "mean"

    output_kind: ClassVar[OutputKind] = UNKNOWN
    _instead: ClassVar = {key: INSTEAD[key] for key in ("from_logits", "size_average")}

    def __call__(
        self, outputs: ArrayLike, targets: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> Any:
        """Return the loss of a batch: a float, or the terms if ``reduction`` is "none"."""
        return self.forward(outputs, targets, sample_weight)[0]

    def forward(
        self, outputs: ArrayLike, targets: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> tuple[Any, Any]:
        """Return the loss of a batch, and the cache that `backward` needs."""
        values, weight, cache = self.terms(outputs, targets, sample_weight)
        with ignore_overflow():
            total = float(values.sum(dtype=np.float64))
        return self._reduce(values, total, weight, cache)

    def _reduce(self, values: Array, total: float, weight: float, cache: Any) -> tuple[Any, Any]:
        if self.reduction == "none":
            return values, (cache, 1.0, values.shape, total, weight)
        divisor = weight if self.reduction == "mean" else 1.0
        return (total / divisor if divisor else 0.0), (cache, divisor, (), total, weight)

    def sums(
        self, outputs: ArrayLike, targets: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> tuple[Array, Array]:
        """Return the sum of the terms, and that of their weights, as arrays (1,) of float64.

        Both may be added over batches; `value` makes the loss of them. `Combined` has an entry per
        output.
        """
        return self.totals(self.forward(outputs, targets, sample_weight)[1])

    def totals(self, cache: Any) -> tuple[Array, Array]:
        """Return what `sums` does, of the cache of a `forward`."""
        return np.array([cache[3]]), np.array([cache[4]], np.float64)

    def value(self, sums: Array, divisors: Array) -> float:
        """Return the loss, given the sums and divisors of one or more batches.

        With ``reduction="sum"`` nothing is divided; a mean of nothing is 0.
        """
        if self.reduction == "none":
            raise ValueError(f'{type(self).__name__} with reduction="none" is no single number')
        divisor = float(divisors[0]) if self.reduction == "mean" else 1.0
        return float(sums[0]) / divisor if divisor else 0.0

    def check_targets(
        self, outputs: ArrayLike, targets: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> None:
        """Raise TypeError or ValueError if targets are not of the kind or shape for outputs.

        The values of the outputs do not matter: zeros will do.
        """
        self.terms(outputs, targets, sample_weight)

    def divisor(self, cache: Any) -> float:
        """Return the divisor of the sum of the terms: the sum of their weights, or 1."""
        return float(cache[1])

    def backward(
        self, cache: Any, upstream: ArrayLike = 1.0, divisors: Array | None = None
    ) -> Array:
        """Return the gradient with respect to the outputs, times ``upstream``.

        ``upstream`` is one number or, if ``reduction`` is "none", one number per term. A mean is
        divided by ``divisors`` instead of the batch's own if they are given: those of several
        batches together, see `sums`, make the gradients of these batches add up to that of all.
        """
        inner, divisor, shape = cache[:3]
        if divisors is not None and self.reduction == "mean":
            divisor = float(divisors[0])
        given = upstream if isinstance(upstream, float) else self._upstream(upstream, shape)
        return self._gradient(inner, given / divisor if divisor else 0.0)

    def _upstream(self, upstream: ArrayLike, shape: Shape) -> Scale:
        """Return ``upstream`` as a float, or as an array of ``shape``."""
        who = type(self).__name__
        given = array(upstream, who)
        if given.dtype.kind not in "fiu":
            raise TypeError(f"{who}.backward takes a real upstream gradient, got {given.dtype}")
        if given.ndim == 0:
            return float(given)
        if given.shape != shape:
            each = f" or an array of shape {shape}" if shape else ""
            raise ValueError(
                f"{who}.backward takes as upstream gradient a number{each}, got {given.shape}"
            )
        return given.astype(np.float64)

    @abstractmethod
    def terms(
        self, outputs: ArrayLike, targets: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> Terms:
        """Return the weighted term of each sample, the sum of their weights, and a cache."""

    @abstractmethod
    def _gradient(self, cache: Any, scale: Scale) -> Array:
        """Return the gradient of the sum of scale * terms; ``scale``: a number, or one per term."""


class ElementWise(Loss):
    """Base of losses with a term per output and target. Define `_value` and `_slope`."""

    _target_kinds: ClassVar[str] = "fiu"  # letters of NumPy

    def terms(
        self, outputs: ArrayLike, targets: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> Terms:
        who = type(self).__name__
        y, t = real_outputs(outputs, who), array(targets, who)
        if t.dtype.kind not in self._target_kinds:
            raise TypeError(f"{who} takes targets that are real numbers, got {t.dtype}")
        if t.shape != y.shape:
            column = y.shape[1:] == (1,) and t.shape == y.shape[:1]
            hint = ": use y[:, None]" if column else size_hint([y.shape[1:], t.shape[1:]])
            raise ValueError(
                f"{who} takes numbers of the outputs' shape {y.shape}, "
                f"got {t.dtype} of shape {t.shape}{hint}"
            )
        # one memory layout for all inputs, so that the sum has the same bits
        y, t = np.ascontiguousarray(y), np.ascontiguousarray(t, y.dtype)
        weight = weights_of(sample_weight, y.shape, who)
        with ignore_overflow():
            values = self._value(y, t)
            if weight is not None:
                values = weighted(values, weight)
        counted = y.size if weight is None else weight.sum()
        return values, float(counted), (y, t, weight)

    def _gradient(self, cache: Any, scale: Scale) -> Array:
        y, t, weight = cache
        with ignore_overflow():
            if weight is None and isinstance(scale, float):
                return self._slope(y, t) * y.dtype.type(scale)
            return weighted(self._slope(y, t), scale if weight is None else scale * weight)

    @abstractmethod
    def _value(self, y: Array, t: Array) -> Array:
        """Return the terms."""

    @abstractmethod
    def _slope(self, y: Array, t: Array) -> Array:
        """Return the derivative of each term with respect to its output."""


def real_outputs(outputs: ArrayLike, who: str) -> Array:
    """Return ``outputs`` as a float array with a batch axis."""
    outputs = array(outputs, who)
    if outputs.dtype is not np.dtype(np.float32):
        outputs = outputs.astype(dtype_of(outputs, who), copy=False)
    if outputs.ndim < 1:
        raise ValueError(f"{who} takes a batch of outputs, got a single number")
    return outputs


def weights_of(sample_weight: ArrayLike | None, shape: Shape, who: str) -> Array | None:
    """Return one weight per term, of shape ``shape``; None if all are 1, which saves a pass."""
    if sample_weight is None:
        return None
    weight = array(sample_weight, who)
    if weight.dtype.kind not in "fiub":
        raise TypeError(f"{who} takes sample weights that are numbers, got {weight.dtype}")
    if weight.ndim < 1 or weight.shape != shape[: weight.ndim]:
        raise ValueError(f"{who} takes sample weights of shape {shape}, got {weight.shape}")
    weight = weight.astype(np.float64)
    wrong = ~((weight >= 0) & (weight < np.inf))
    if wrong.any():
        raise ValueError(f"{who} takes sample weights in [0, inf), got {weight[wrong][0]}")
    return np.broadcast_to(weight.reshape(weight.shape + (1,) * (len(shape) - weight.ndim)), shape)


def weighted(values: Array, weight: Scale) -> Array:
    """Return weight * values in the dtype of values; 0 where the weight is 0, even for NaN."""
    return np.where(weight == 0, 0, values * weight).astype(values.dtype)
