"""Numerical gradients: the slope of a function along each entry of an array."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .._arrays import Array
from .._check import array, shown
from .gradient import Entry

STEP = 1e-5  # of entries up to 1; truncation errs by about STEP^2, rounding by eps / STEP


def numerical_gradient(f: Callable[[Array], Any], x: ArrayLike) -> Array:
    r"""Return the gradient of ``f`` at ``x`` by central differences, in float64.

    .. math:: \frac{\partial f}{\partial x_i} \approx \frac{f(x + h e_i) - f(x - h e_i)}{2 h},
              \quad h = 10^{-5} \max(1, |x_i|)

    It takes two calls of ``f`` for each entry of ``x``: it checks a gradient, it does not train. To
    compare with a gradient, entry by entry and with kinks recognised, call
    `deepfs.testing.check_gradient`.

    Parameters
    ----------
    f : function
        Function of an array like ``x`` that returns one number. An array of several is refused, as
        there is no telling whether its sum or its mean is meant.
    x : array
        Point of any shape, a single number too. Integers and float32 are converted to float64.

    Returns
    -------
    array of float64
        The slopes, in the shape of ``x``.

    Raises
    ------
    TypeError, ValueError
        If ``f`` is not a function, or does not return one number; if ``x`` is not an array of real
        numbers.

    Notes
    -----
    Each call of ``f`` gets a new array, and ``x`` is never changed. So ``f`` must compute from its
    argument. A function that reads an array from elsewhere, as scripts do that change a network in
    place, gives a gradient of zeros.

    Examples
    --------
    >>> import deepfs as dfs
    >>> dfs.numerical_gradient(lambda x: (x**2).sum(), [3, 4]).round(6)
    array([6., 8.])
    """
    if not callable(f):
        raise TypeError(
            f"numerical_gradient takes a function of x first, got {shown(f)}: "
            "numerical_gradient(f, x)"
        )
    point = array(x, "numerical_gradient")
    if point.dtype.kind not in "fiub":
        raise TypeError(f"numerical_gradient takes real numbers, got x of {point.dtype}")
    point = np.array(point, np.float64)  # a private copy

    def value(moved: Array) -> float:
        return _one_number(f(moved.copy()))

    slopes = np.empty(point.shape)
    for index in np.ndindex(point.shape):
        entry = Entry(value, point, index, 0.0, None)
        slopes[index] = entry.slope(step=STEP * max(1.0, abs(float(point[index]))))
    return slopes


def _one_number(result: Any) -> float:
    """Return what a function returned as a float; raise if it is not one real number."""
    found = np.asarray(result)
    if found.dtype.kind not in "fiub":
        raise TypeError(f"f must return one number, got {shown(result)}")
    if found.size != 1:
        raise ValueError(
            f"f must return one number, got an array of shape {found.shape}: return its sum or mean"
        )
    return float(found.reshape(())[()])
