"""Constant initializers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .._check import number
from .._check import shape as shape_of
from .._settings import ExplainedSettings
from ..random import Random
from ._base import Array


@dataclass
class Constant(ExplainedSettings):
    """Constant initializer: the same value for every entry.

    Parameters
    ----------
    value : float
        The value, finite.

    Raises
    ------
    ValueError, TypeError
        If ``value`` is not a finite number.

    Notes
    -----
    Shapes: any.

    References
    ----------
    ``keras.initializers.Constant``, ``torch.nn.init.constant_``.

    Examples
    --------
    >>> from deepfs.random import Random
    >>> Constant(2)((2,), Random(0))
    array([2., 2.])
    """

    value: float = 0.0

    def __post_init__(self) -> None:
        self.value = number(self.value, "value", "(-inf, inf)")

    def __call__(self, shape: tuple[int, ...], rng: Random) -> Array:
        return np.full(shape_of(shape), self.value)


@dataclass
class Zeros(ExplainedSettings):
    """Zeros initializer: for biases, not for weights, whose units would all stay equal.

    Notes
    -----
    Shapes: any.

    References
    ----------
    ``keras.initializers.Zeros``, ``torch.nn.init.zeros_``.

    Examples
    --------
    >>> from deepfs.random import Random
    >>> Zeros()((2,), Random(0))
    array([0., 0.])
    """

    def __call__(self, shape: tuple[int, ...], rng: Random) -> Array:
        return np.zeros(shape_of(shape))


@dataclass
class Ones(ExplainedSettings):
    """Ones initializer.

    Notes
    -----
    Shapes: any.

    References
    ----------
    ``keras.initializers.Ones``, ``torch.nn.init.ones_``.

    Examples
    --------
    >>> from deepfs.random import Random
    >>> Ones()((2,), Random(0))
    array([1., 1.])
    """

    def __call__(self, shape: tuple[int, ...], rng: Random) -> Array:
        return np.ones(shape_of(shape))
