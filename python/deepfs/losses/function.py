"""A function of one's own as a loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .._arrays import Array, ignore_overflow
from .._check import array, one_of
from .._trees import leaves, map_tree
from ._base import REDUCTIONS, Loss, Scale, Terms, real_outputs, weighted, weights_of


@dataclass(eq=False)
class FunctionLoss(Loss):
    r"""A function ``(outputs, targets) -> (value, gradient)`` as a loss.

    `deepfs.Model` takes such a function itself: ``Model(network, loss=my_loss, ...)``.

    Parameters
    ----------
    function : callable
        It returns either one number per sample, ``(n,)``, and the gradient of each sample's number
        with respect to its outputs; or one number, the mean of the batch, and the gradient of that.
        The gradient has the outputs' shape. If the network has several outputs, it gets and returns
        a tuple or dict of arrays.
    reduction : {"mean", "sum", "none"}
        Over the samples.

    Raises
    ------
    TypeError
        If ``function`` is no function, or, on call, does not return a value and a gradient.
    ValueError
        On call, if value or gradient have another shape, or if sample weights meet a function that
        returns one number for the whole batch.

    Notes
    -----
    Shapes: whatever the function takes. It says nothing of what outputs mean, so a model has no
    metric by default, and refuses ``predict_proba`` and ``predict_classes``. A saved model does not
    contain the function: ``deepfs.load(path, loss=...)``. `deepfs.testing.check_loss` checks the
    gradient.

    Examples
    --------
    >>> from deepfs.losses import FunctionLoss
    >>> def quartic(outputs, targets):
    ...     d = outputs - targets
    ...     return (d**4).mean(axis=1), 4 * d**3 / d.shape[1]
    >>> FunctionLoss(quartic)(np.array([[1.0], [3.0]]), np.array([[0.0], [1.0]]))
    8.5
    """

    function: Callable[..., Any]
    reduction: str = "mean"

    def __post_init__(self) -> None:
        if not callable(self.function) or isinstance(self.function, type):
            raise TypeError(
                "FunctionLoss takes a function (outputs, targets) -> (value, gradient), "
                f"got {self.function!r}"
            )
        one_of(self.reduction, "reduction", REDUCTIONS)

    @property
    def label(self) -> str:
        """Name of the function."""
        return str(getattr(self.function, "__name__", type(self.function).__name__))

    def check_targets(
        self, outputs: ArrayLike, targets: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> None:
        """Check nothing: only the function knows its targets, and outputs of 0 may not suit it."""

    def terms(
        self, outputs: ArrayLike, targets: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> Terms:
        # one memory layout, so that sums have the same bits
        y = map_tree(lambda leaf: np.ascontiguousarray(real_outputs(leaf, self.label)), outputs)
        t = map_tree(lambda leaf: np.ascontiguousarray(array(leaf, self.label)), targets)
        n = len(next(leaves(y)))
        weight = weights_of(sample_weight, (n,), self.label)
        if n == 0:
            return np.zeros(0), 0.0, (map_tree(np.zeros_like, y), None)
        values, gradient = self._called(y, t, n)
        if values.ndim == 0:
            if self.reduction == "none":
                raise ValueError(
                    f"the loss {self.label} returns one number for the batch: with "
                    f'reduction="none" it must return one per sample, ({n},)'
                )
            if weight is not None:
                raise ValueError(
                    f"the loss {self.label} returns one number for the batch: for sample weights "
                    f"it must return one per sample, ({n},)"
                )
            gradient = map_tree(lambda leaf: leaf * n, gradient)
            values = np.broadcast_to(values, (n,))
        elif weight is not None:
            with ignore_overflow():
                values = weighted(values, weight)
        return values, float(n if weight is None else weight.sum()), (gradient, weight)

    def _called(self, y: Any, t: Any, n: int) -> tuple[Array, Any]:
        """Return value and gradient; raise an error if they are none."""
        returned = self.function(y, t)
        if not isinstance(returned, (tuple, list)) or len(returned) != 2:
            raise TypeError(
                f"the loss {self.label} must return (value, gradient), "
                f"got {type(returned).__name__}"
            )
        values = np.asarray(returned[0])
        if values.dtype.kind not in "fiu":
            raise TypeError(f"the loss {self.label} must return real numbers, got {values.dtype}")
        if values.shape not in ((), (n,)):
            raise ValueError(
                f"the loss {self.label} must return one number, or one per sample, ({n},), "
                f"got {values.shape}"
            )
        dtype = next(leaves(y)).dtype if values.ndim else np.float64
        return values.astype(dtype), map_tree(self._like, y, returned[1])

    def _like(self, y: Array, gradient: Any) -> Array:
        found = array(gradient, self.label)
        if found.shape != y.shape or found.dtype.kind not in "fiu":
            raise ValueError(
                f"the loss {self.label} must return a gradient of the outputs' shape {y.shape}, "
                f"got {found.dtype} of shape {found.shape}"
            )
        return found.astype(y.dtype, copy=False)

    def _gradient(self, cache: Any, scale: Scale) -> Any:
        gradient, weight = cache
        each = scale if weight is None else scale * weight

        def scaled(leaf: Array) -> Array:
            with ignore_overflow():
                if isinstance(each, float):
                    return leaf * leaf.dtype.type(each)
                return weighted(leaf, each.reshape((-1,) + (1,) * (leaf.ndim - 1)))

        return map_tree(scaled, gradient)
