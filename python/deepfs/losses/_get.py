"""Losses by name, from functions, and from several of them."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from ._base import Loss
from .binary_cross_entropy import BinaryCrossEntropy
from .combined import Combined
from .cross_entropy import CrossEntropy
from .function import FunctionLoss
from .hinge import Hinge
from .huber import Huber
from .mean_absolute_error import MeanAbsoluteError
from .mean_squared_error import MeanSquaredError
from .negative_log_likelihood import NegativeLogLikelihood

# deepfs's names, Keras's and PyTorch's. Missing on purpose: Keras's "hinge" and PyTorch's BCELoss
# under their own names mean something else.
NAMES: dict[str, type[Loss]] = {
    "cross_entropy": CrossEntropy,
    "categorical_crossentropy": CrossEntropy,
    "sparse_categorical_crossentropy": CrossEntropy,
    "binary_cross_entropy": BinaryCrossEntropy,
    "binary_crossentropy": BinaryCrossEntropy,
    "bce_with_logits": BinaryCrossEntropy,
    "negative_log_likelihood": NegativeLogLikelihood,
    "nll": NegativeLogLikelihood,
    "mean_squared_error": MeanSquaredError,
    "mse": MeanSquaredError,
    "mean_absolute_error": MeanAbsoluteError,
    "mae": MeanAbsoluteError,
    "l1": MeanAbsoluteError,
    "huber": Huber,
    "smooth_l1": Huber,
    "hinge": Hinge,
}


def plain(name: str) -> str:
    """Return a name without case, underscores and the word loss at its end."""
    return name.replace("_", "").replace("-", "").lower().removesuffix("loss")


_BY_NAME = {plain(name): made for name, made in NAMES.items()}


def get(loss: Any) -> Loss:
    """Return a loss, given one, its name, a function, or a tuple or dict of these.

    Parameters
    ----------
    loss : Loss, str, function, or tuple or dict of these
        Names are ``"cross_entropy"``, Keras's ``"sparse_categorical_crossentropy"``, ``"mse"`` and
        others; functions are what `FunctionLoss` takes; a tuple or dict is `Combined`.

    Raises
    ------
    ValueError
        If no loss has that name.
    TypeError
        If it is none of these.

    Examples
    --------
    >>> type(get("mse")).__name__
    'MeanSquaredError'
    """
    if isinstance(loss, Loss):
        return loss
    if isinstance(loss, str):
        if plain(loss) not in _BY_NAME:
            near = get_close_matches(loss.lower(), NAMES, 1)
            meant = f": did you mean {near[0]!r}?" if near else f": one of {', '.join(NAMES)}"
            raise ValueError(f"deepfs has no loss {loss!r}{meant}")
        return _BY_NAME[plain(loss)]()
    if isinstance(loss, Mapping):
        return Combined({name: get(part) for name, part in loss.items()})
    if isinstance(loss, (tuple, list)):
        return Combined(tuple(get(part) for part in loss))
    if isinstance(loss, type) and issubclass(loss, Loss):
        raise TypeError(f"Model needs a deepfs Loss, got a class: write {loss.__name__}()")
    if not callable(loss) or isinstance(loss, type):
        raise TypeError(f"Model needs a deepfs Loss, got {loss!r}")
    return FunctionLoss(loss)
