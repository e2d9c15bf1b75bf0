"""Metrics: functions ``(outputs, targets) -> (n,)``, a number per sample, of which the mean counts.

So a last, smaller batch weighs what it should. Names follow Keras.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["accuracy", "get"]

Metric: TypeAlias = Callable[[NDArray[Any], NDArray[Any]], NDArray[Any]]


def accuracy(outputs: NDArray[Any], targets: NDArray[Any]) -> NDArray[Any]:
    """Return 1 where the class of the largest output is the target's, else 0.

    Parameters
    ----------
    outputs : array (n, classes)
        Logits or probabilities.
    targets : array (n,) of integers, or (n, classes) of probabilities
        The right classes.

    Returns
    -------
    array (n,)
        Of a tie, the first class counts.

    Raises
    ------
    ValueError
        If there are not at least two classes, or targets for each output.

    Examples
    --------
    >>> accuracy(np.array([[1.0, 2.0], [4.0, 3.0]]), np.array([1, 1]))
    array([1., 0.])
    """
    if outputs.ndim < 2 or outputs.shape[1] < 2:
        raise ValueError(
            f"accuracy needs outputs (n, classes) of at least 2 classes, got {outputs.shape}; "
            "for other tasks, Model(..., metrics=())"
        )
    if targets.shape not in (outputs.shape, (len(outputs), *outputs.shape[2:])):
        raise ValueError(f"accuracy cannot compare {outputs.shape} with targets {targets.shape}")
    right = targets.argmax(axis=1) if targets.ndim == outputs.ndim else targets
    found = (outputs.argmax(axis=1) == right).astype(np.float64)
    return found.reshape(len(outputs), -1).mean(axis=1)


_BY_NAME: dict[str, Metric] = {"accuracy": accuracy}


def get(metric: str | Metric) -> tuple[str, Metric]:
    """Return name and function of a metric given by either.

    Raises
    ------
    ValueError
        If there is no metric of that name.
    """
    if callable(metric):
        return getattr(metric, "__name__", type(metric).__name__), metric
    if metric not in _BY_NAME:
        raise ValueError(f"metric must be one of {', '.join(_BY_NAME)}, got {metric!r}")
    return metric, _BY_NAME[metric]
