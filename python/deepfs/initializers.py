"""Initial values of parameters: functions ``(shape, rng) -> array``.

A `Dense` weight (in, out) has fan_in = in and fan_out = out; a convolution's (co, ci/groups, kh,
kw) has fan_in = ci/groups * kh * kw and fan_out = co * kh * kw. Normal ones are plain, not
truncated (Keras truncates its own). Wherever a layer takes an initializer, it takes an object of
this module, its name in snake case (``"he_normal"``), or any function of that form.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from math import prod, sqrt
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ._check import number
from .random import Random

__all__ = [
    "Constant",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "LecunNormal",
    "LecunUniform",
    "Normal",
    "Ones",
    "Uniform",
    "Zeros",
    "get",
]

Initializer: TypeAlias = Callable[[tuple[int, ...], Random], NDArray[Any]]


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return how many inputs an output sees, and how many outputs an input reaches."""
    if len(shape) == 2:
        return shape
    if len(shape) < 2:
        raise ValueError(f"an initializer by fan needs a shape of at least 2 axes, got {shape}")
    return prod(shape[1:]), shape[0] * prod(shape[2:])


@dataclass
class Constant:
    """Give every entry one value.

    Examples
    --------
    >>> Constant(2)((2,), Random(0))
    array([2., 2.])
    """

    value: float = 0.0

    def __call__(self, shape: tuple[int, ...], rng: Random) -> NDArray[Any]:
        return np.full(shape, float(self.value))


@dataclass
class Zeros:
    """Give every entry 0."""

    def __call__(self, shape: tuple[int, ...], rng: Random) -> NDArray[Any]:
        return np.zeros(shape)


@dataclass
class Ones:
    """Give every entry 1."""

    def __call__(self, shape: tuple[int, ...], rng: Random) -> NDArray[Any]:
        return np.ones(shape)


@dataclass
class Normal:
    """Draw from the normal distribution of mean 0 and standard deviation ``std``.

    Parameters
    ----------
    std : float
        Standard deviation, at least 0. The textbook's first networks use 0.01.
    """

    std: float = 0.01

    def __post_init__(self) -> None:
        self.std = number(self.std, "std", "[0, inf)")

    def __call__(self, shape: tuple[int, ...], rng: Random) -> NDArray[Any]:
        return self.std * rng.normal(shape)


@dataclass
class Uniform:
    """Draw from the uniform distribution in [-limit, limit).

    Parameters
    ----------
    limit : float
        Largest size of an entry, at least 0.
    """

    limit: float = 0.05

    def __post_init__(self) -> None:
        self.limit = number(self.limit, "limit", "[0, inf)")

    def __call__(self, shape: tuple[int, ...], rng: Random) -> NDArray[Any]:
        return self.limit * (2 * rng.uniform(shape) - 1)


@dataclass
class LecunNormal:
    """Draw normal numbers of standard deviation sqrt(1 / fan_in).

    References
    ----------
    LeCun, Bottou, Orr and Müller, "Efficient BackProp", 1998.
    """

    def __call__(self, shape: tuple[int, ...], rng: Random) -> NDArray[Any]:
        return sqrt(1 / fans(shape)[0]) * rng.normal(shape)


@dataclass
class LecunUniform:
    """Draw uniform numbers of at most sqrt(3 / fan_in), the standard deviation of `LecunNormal`.

    References
    ----------
    LeCun, Bottou, Orr and Müller, "Efficient BackProp", 1998.
    """

    def __call__(self, shape: tuple[int, ...], rng: Random) -> NDArray[Any]:
        return Uniform(sqrt(3 / fans(shape)[0]))(shape, rng)


@dataclass
class GlorotNormal:
    """Draw normal numbers of standard deviation sqrt(2 / (fan_in + fan_out)).

    References
    ----------
    Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural
    networks", 2010.
    """

    def __call__(self, shape: tuple[int, ...], rng: Random) -> NDArray[Any]:
        return sqrt(2 / sum(fans(shape))) * rng.normal(shape)


@dataclass
class GlorotUniform:
    """Draw uniform numbers of at most sqrt(6 / (fan_in + fan_out)).

    References
    ----------
    Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural
    networks", 2010.
    """

    def __call__(self, shape: tuple[int, ...], rng: Random) -> NDArray[Any]:
        return Uniform(sqrt(6 / sum(fans(shape))))(shape, rng)


@dataclass
class HeNormal:
    """Draw normal numbers of standard deviation sqrt(2 / fan_in), made for ReLU.

    References
    ----------
    He, Zhang, Ren and Sun, "Delving deep into rectifiers", 2015, arXiv:1502.01852.

    Examples
    --------
    >>> float(HeNormal()((200, 300), Random(0)).std().round(3))
    0.1
    """

    def __call__(self, shape: tuple[int, ...], rng: Random) -> NDArray[Any]:
        return sqrt(2 / fans(shape)[0]) * rng.normal(shape)


@dataclass
class HeUniform:
    """Draw uniform numbers of at most sqrt(6 / fan_in), the standard deviation of `HeNormal`.

    References
    ----------
    He, Zhang, Ren and Sun, "Delving deep into rectifiers", 2015, arXiv:1502.01852.
    """

    def __call__(self, shape: tuple[int, ...], rng: Random) -> NDArray[Any]:
        return Uniform(sqrt(6 / fans(shape)[0]))(shape, rng)


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


_BY_NAME: dict[str, Callable[[], Initializer]] = {
    _snake(name): globals()[name] for name in __all__ if name != "get"
}
_BY_NAME |= {"xavier_normal": GlorotNormal, "xavier_uniform": GlorotUniform}


def get(initializer: str | Initializer) -> Initializer:
    """Return the initializer of a name, and a function as it is.

    Examples
    --------
    >>> get("he_normal")
    HeNormal()
    """
    if isinstance(initializer, str):
        if initializer not in _BY_NAME:
            raise ValueError(
                f"initializer must be one of {', '.join(sorted(_BY_NAME))}, got {initializer!r}"
            )
        return _BY_NAME[initializer]()
    if not callable(initializer):
        raise TypeError(f"initializer must be a name or a function, got {initializer!r}")
    return initializer
