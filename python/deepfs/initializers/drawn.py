"""Random initializers with a given standard deviation or limit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .._check import number
from .._settings import ExplainedSettings
from ..random import Random
from ._base import Array


@dataclass
class Normal(ExplainedSettings):
    """Normal (Gaussian) initializer: mean 0 and standard deviation ``std``.

    Parameters
    ----------
    std : float
        Standard deviation, at least 0.

    Raises
    ------
    ValueError, TypeError
        If ``std`` is not a finite number of at least 0.

    Notes
    -----
    Shapes: any.

    References
    ----------
    Krizhevsky, Sutskever and Hinton, "ImageNet classification with deep convolutional neural
    networks", 2012 (0.01).

    Examples
    --------
    >>> from deepfs.random import Random
    >>> float(Normal(0.5)((200, 300), Random(0, 0)).std().round(2))
    0.5
    """

    std: float = 0.01

    def __post_init__(self) -> None:
        self.std = number(self.std, "std", "[0, inf)")

    def __call__(self, shape: tuple[int, ...], rng: Random) -> Array:
        return self.std * rng.normal(shape)


@dataclass
class Uniform(ExplainedSettings):
    """Uniform initializer in [-limit, limit), of standard deviation limit / sqrt(3).

    Parameters
    ----------
    limit : float
        Largest absolute value of an entry, at least 0.

    Raises
    ------
    ValueError, TypeError
        If ``limit`` is not a finite number of at least 0.

    Notes
    -----
    Shapes: any.

    References
    ----------
    ``keras.initializers.RandomUniform``, whose default is the same.

    Examples
    --------
    >>> from deepfs.random import Random
    >>> float(abs(Uniform(0.5)((200, 300), Random(0, 0))).max().round(2))
    0.5
    """

    limit: float = 0.05

    def __post_init__(self) -> None:
        self.limit = number(self.limit, "limit", "[0, inf)")

    def __call__(self, shape: tuple[int, ...], rng: Random) -> Array:
        return self.limit * (2 * rng.uniform(shape) - 1)


@dataclass
class TruncatedNormal(ExplainedSettings):
    """Truncated normal initializer: no entry is beyond ``cut`` times ``std``.

    Parameters
    ----------
    std : float
        Standard deviation before truncation, at least 0. With ``cut=2``, that of the result is
        0.88 times as large.
    cut : float
        Largest absolute value of an entry, in units of ``std``, at least 0.1.

    Raises
    ------
    ValueError, TypeError
        If a setting is not a number, or out of range.

    Notes
    -----
    Shapes: any. Entries beyond the cut are drawn again, not clipped to it.

    References
    ----------
    ``keras.initializers.TruncatedNormal``, ``torch.nn.init.trunc_normal_``.

    Examples
    --------
    >>> from deepfs.random import Random
    >>> float(abs(TruncatedNormal(0.5)((200, 300), Random(0, 0))).max().round(2))
    1.0
    """

    std: float = 0.01
    cut: float = 2.0

    def __post_init__(self) -> None:
        self.std = number(self.std, "std", "[0, inf)")
        self.cut = number(self.cut, "cut", "[0.1, inf)")

    def __call__(self, shape: tuple[int, ...], rng: Random) -> Array:
        values = rng.normal(shape)
        beyond = np.abs(values) > self.cut
        while beyond.any():
            values[beyond] = rng.normal((int(beyond.sum()),))
            beyond = np.abs(values) > self.cut
        return self.std * values
