"""Twins of losses."""

from __future__ import annotations

import numpy as np

from ._types import Array
from .activation import softmax


def cross_entropy(logits: Array, targets: Array) -> float:
    """Return the mean of -sum(targets * log(softmax(logits))), targets ``(n, c)``."""
    return float(-(targets * np.log(softmax(logits))).sum() / len(logits))


def mean_squared_error(outputs: Array, targets: Array) -> float:
    """Return the mean of the squared differences."""
    return float(((outputs - targets) ** 2).mean())
