"""The function of two variables of this group, and its numerical gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


def bowl(x: Any) -> Any:
    """Return x0^2 + x1^2 of points along the last axis."""
    return (x**2).sum(axis=-1)


def numerical_gradient(f: Callable[[Any], Any], x: Any, h: float = 1e-4) -> Any:
    """Return the partial derivatives of ``f`` at points ``x`` (..., n) by central differences.

    Each takes a step of ``h`` along one axis and leaves the other variables as they are.
    """
    x = np.asarray(x, float)
    gradient = np.empty_like(x)
    for axis, step in enumerate(h * np.eye(x.shape[-1])):
        gradient[..., axis] = (f(x + step) - f(x - step)) / (2 * h)
    return gradient
