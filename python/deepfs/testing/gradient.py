"""Gradients against central differences."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .._arrays import Array

SAMPLES = 100  # entries that are checked of an array that has more


def check_gradient(
    function: Callable[[Array], float],
    x: Array,
    gradient: Array,
    name: str = "x",
    seed: int = 0,
) -> None:
    """Compare a gradient with central differences.

    Parameters
    ----------
    function : callable
        Function of an array like ``x`` that returns one number.
    x : array of float64
        Point at which the gradient is checked. Its entries are changed one by one and restored.
    gradient : array like x
        The gradient to check.
    name : str
        Name of the array in messages.
    seed : int
        Seed of the sample of entries, if there are more than 100.

    Raises
    ------
    AssertionError
        If an entry differs; the message names array, index and both numbers.

    Examples
    --------
    >>> x = np.array([1.0, 2.0])
    >>> check_gradient(lambda a: float((a**2).sum()), x, 2 * x)
    """
    assert x.dtype == np.float64, f"{name} must be float64 to be checked, got {x.dtype}"
    assert gradient.shape == x.shape, f"the gradient of {name} has shape {gradient.shape}"
    picked = np.arange(x.size)
    if x.size > SAMPLES:
        picked = np.sort(np.random.default_rng(seed).choice(x.size, SAMPLES, replace=False))
    for i in picked:
        at = np.unravel_index(i, x.shape)
        before = x[at]
        h = 6e-6 * max(1.0, abs(before))
        x[at] = before + h
        up = function(x)
        x[at] = before - h
        down = function(x)
        x[at] = before
        numeric, analytic = (up - down) / (2 * h), float(gradient[at])
        allowed = 1e-7 + 1e-6 * max(abs(analytic), abs(numeric))
        index = tuple(map(int, at))
        assert abs(analytic - numeric) <= allowed, (
            f"the gradient of {name} at {index} is {analytic:.9g}, by differences {numeric:.9g}"
        )
