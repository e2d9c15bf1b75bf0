"""Metrics of numbers: mean absolute and squared error, its root, and R2."""

from __future__ import annotations

from math import prod, sqrt
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .._arrays import ignore_overflow
from .._check import array, one_of
from ._base import Array


def mean_absolute_error(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Mean absolute error (MAE), over all numbers.

    Parameters
    ----------
    y_true, y_pred : array (n, ...)
        Targets and outputs, of the same shape. The order is scikit-learn's.

    Returns
    -------
    float
        At least 0; of nothing, 0.

    Raises
    ------
    ValueError
        If the shapes differ.
    TypeError
        If they are not real numbers.

    Examples
    --------
    >>> mean_absolute_error(np.array([1.0, 2.0]), np.array([1.0, 5.0]))
    1.5
    """
    return float(mean(absolute_errors(y_pred, y_true, "mean_absolute_error")))


def mean_squared_error(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Mean squared error (MSE), over all numbers.

    Parameters
    ----------
    y_true, y_pred : array (n, ...)
        See `mean_absolute_error`.

    Returns
    -------
    float
        At least 0; of nothing, 0.

    Raises
    ------
    ValueError, TypeError
        As `mean_absolute_error`.

    Examples
    --------
    >>> mean_squared_error(np.array([1.0, 2.0]), np.array([1.0, 5.0]))
    4.5
    """
    return float(mean(squared_errors(y_pred, y_true, "mean_squared_error")))


def rmse(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Root mean squared error (RMSE): the root of the mean over all numbers.

    Parameters
    ----------
    y_true, y_pred : array (n, ...)
        See `mean_absolute_error`.

    Returns
    -------
    float
        At least 0. It is Keras's ``RootMeanSquaredError``; scikit-learn's function takes a root for
        each output and then their mean, which differs if there are several.

    Raises
    ------
    ValueError, TypeError
        As `mean_absolute_error`.

    Examples
    --------
    >>> rmse(np.array([1.0, 2.0]), np.array([1.0, 7.0])).__round__(4)
    3.5355
    """
    return sqrt(mean(squared_errors(y_pred, y_true, "rmse")))


def r2_score(y_true: ArrayLike, y_pred: ArrayLike, multioutput: str = "uniform_average") -> Any:
    r"""R2, the coefficient of determination: the part of the variance that is explained.

    .. math:: R^2 = 1 - \frac{\sum_i (t_i - y_i)^2}{\sum_i (t_i - \bar t)^2}

    Parameters
    ----------
    y_true, y_pred : array (n, ...)
        Targets and outputs, of the same shape, at least 2 samples. The order is scikit-learn's.
    multioutput : {"uniform_average", "raw_values"}
        The mean over the outputs of a sample, or one number for each.

    Returns
    -------
    float, or array (outputs,)
        1 is perfect, 0 is the mean of the targets. For constant targets it is 1 if the outputs are
        the same, else 0, as in scikit-learn.

    Raises
    ------
    ValueError, TypeError
        As `mean_absolute_error`, and if there are fewer than 2 samples.

    Examples
    --------
    >>> r2_score(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 4.0]))
    0.5
    """
    one_of(multioutput, "multioutput", ("uniform_average", "raw_values"))
    t, y = map(rows, numbers_of(y_pred, y_true, "r2_score"))
    if len(t) < 2 or not t.size:
        raise ValueError(f"r2_score needs at least 2 samples and 1 output, got {t.shape}")
    with ignore_overflow():
        scores = r2_of(np.square(t - y).sum(axis=0), np.square(t - t.mean(axis=0)).sum(axis=0))
    return scores if multioutput == "raw_values" else float(scores.mean())


def r2_of(residual: Array, total: Array) -> Array:
    """Return R2 of each output, given the sums of squares about outputs and about the mean."""
    with ignore_overflow():
        constant = np.where(residual == 0, 1.0, 0.0)
        scores = np.where(total > 0, 1 - residual / np.where(total > 0, total, 1), constant)
    return np.where(np.isnan(residual) | np.isnan(total), np.nan, scores)


def numbers_of(outputs: ArrayLike, targets: ArrayLike, who: str) -> tuple[Array, Array]:
    """Return targets and outputs as float64 of one shape."""
    y, t = array(outputs, who), array(targets, who)
    if y.dtype.kind not in "fiu" or t.dtype.kind not in "fiu":
        raise TypeError(f"{who} takes real numbers, got {y.dtype} and {t.dtype}")
    if y.ndim < 1 or y.shape != t.shape:
        column = y.shape[1:] == (1,) and t.shape == y.shape[:1]
        hint = ": targets[:, None] has the same shape" if column else ""
        raise ValueError(f"{who} cannot compare {y.shape} with targets {t.shape}{hint}")
    return t.astype(np.float64), y.astype(np.float64)


def absolute_errors(outputs: ArrayLike, targets: ArrayLike, who: str) -> Array:
    """Return the mean absolute error of each sample."""
    t, y = numbers_of(outputs, targets, who)
    with ignore_overflow():
        return rows(np.abs(t - y)).mean(axis=1) if t.size else np.zeros(len(t))


def squared_errors(outputs: ArrayLike, targets: ArrayLike, who: str) -> Array:
    """Return the mean squared error of each sample."""
    t, y = numbers_of(outputs, targets, who)
    with ignore_overflow():
        return rows(np.square(t - y)).mean(axis=1) if t.size else np.zeros(len(t))


def rows(values: Array) -> Array:
    """Return the numbers of each sample as a row."""
    return values.reshape(len(values), prod(values.shape[1:]))


def mean(values: Array) -> float:
    """Return the mean; of nothing, 0."""
    with ignore_overflow():
        return float(values.mean()) if values.size else 0.0
