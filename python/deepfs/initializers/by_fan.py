"""LeCun, Glorot (Xavier) and He initializers: the variance follows from the shape of the weight.

The sum of fan_in independent products has fan_in times their variance. In backward, a gradient is a
sum over fan_out. Each class keeps one of these two variances, or a compromise of both.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

from .._settings import ExplainedSettings
from ..random import Random
from ._base import Array, fans
from .drawn import Normal, Uniform


@dataclass
class LecunNormal(ExplainedSettings):
    """LeCun normal initializer: normal numbers of standard deviation sqrt(1 / fan_in).

    Raises
    ------
    ValueError
        On call, if the shape has fewer than two axes.

    Notes
    -----
    Shapes: (in, out) or (co, ci/groups, kh, kw); see `fans`. Some textbooks call this one Xavier.

    References
    ----------
    LeCun, Bottou, Orr and Müller, "Efficient BackProp", 1998.

    Examples
    --------
    >>> from deepfs.random import Random
    >>> float(LecunNormal()((100, 600), Random(0, 0)).std().round(3))
    0.1
    """

    def __call__(self, shape: tuple[int, ...], rng: Random) -> Array:
        return Normal(sqrt(1 / fans(shape)[0]))(shape, rng)


@dataclass
class LecunUniform(ExplainedSettings):
    """LeCun uniform initializer: uniform numbers in [-a, a), a = sqrt(3 / fan_in).

    Raises
    ------
    ValueError
        On call, if the shape has fewer than two axes.

    Notes
    -----
    Shapes: (in, out) or (co, ci/groups, kh, kw); see `fans`.

    References
    ----------
    LeCun, Bottou, Orr and Müller, "Efficient BackProp", 1998.

    Examples
    --------
    >>> from deepfs.random import Random
    >>> float(abs(LecunUniform()((300, 200), Random(0, 0))).max().round(3))
    0.1
    """

    def __call__(self, shape: tuple[int, ...], rng: Random) -> Array:
        return Uniform(sqrt(3 / fans(shape)[0]))(shape, rng)


@dataclass
class GlorotNormal(ExplainedSettings):
    """Glorot (Xavier) normal initializer: standard deviation sqrt(2 / (fan_in + fan_out)).

    Raises
    ------
    ValueError
        On call, if the shape has fewer than two axes.

    Notes
    -----
    Shapes: (in, out) or (co, ci/groups, kh, kw); see `fans`. Made for tanh and sigmoid, which are
    nearly linear around 0. Also ``"xavier_normal"``, after the author's first name.

    References
    ----------
    Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural
    networks", 2010.

    Examples
    --------
    >>> from deepfs.random import Random
    >>> float(GlorotNormal()((50, 150), Random(0, 0)).std().round(2))
    0.1
    """

    def __call__(self, shape: tuple[int, ...], rng: Random) -> Array:
        return Normal(sqrt(2 / sum(fans(shape))))(shape, rng)


@dataclass
class GlorotUniform(ExplainedSettings):
    """Glorot (Xavier) uniform initializer: [-a, a), a = sqrt(6 / (fan_in + fan_out)).

    Raises
    ------
    ValueError
        On call, if the shape has fewer than two axes.

    Notes
    -----
    Shapes: (in, out) or (co, ci/groups, kh, kw); see `fans`. Also ``"xavier_uniform"``.

    References
    ----------
    Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural
    networks", 2010.

    Examples
    --------
    >>> from deepfs.random import Random
    >>> float(abs(GlorotUniform()((200, 400), Random(0, 0))).max().round(3))
    0.1
    """

    def __call__(self, shape: tuple[int, ...], rng: Random) -> Array:
        return Uniform(sqrt(6 / sum(fans(shape))))(shape, rng)


@dataclass
class HeNormal(ExplainedSettings):
    """He (Kaiming) normal initializer: standard deviation sqrt(2 / fan_in), made for ReLU.

    Raises
    ------
    ValueError
        On call, if the shape has fewer than two axes.

    Notes
    -----
    Shapes: (in, out) or (co, ci/groups, kh, kw); see `fans`. ReLU halves the mean square of its
    input; the factor 2 compensates for that. This is the default of layers with weights.

    References
    ----------
    He, Zhang, Ren and Sun, "Delving deep into rectifiers", 2015, arXiv:1502.01852.

    Examples
    --------
    >>> from deepfs.random import Random
    >>> float(HeNormal()((200, 300), Random(0)).std().round(3))
    0.1
    """

    def __call__(self, shape: tuple[int, ...], rng: Random) -> Array:
        return Normal(sqrt(2 / fans(shape)[0]))(shape, rng)


@dataclass
class HeUniform(ExplainedSettings):
    """He (Kaiming) uniform initializer: uniform numbers in [-a, a), a = sqrt(6 / fan_in).

    Raises
    ------
    ValueError
        On call, if the shape has fewer than two axes.

    Notes
    -----
    Shapes: (in, out) or (co, ci/groups, kh, kw); see `fans`.

    References
    ----------
    He, Zhang, Ren and Sun, "Delving deep into rectifiers", 2015, arXiv:1502.01852.

    Examples
    --------
    >>> from deepfs.random import Random
    >>> float(abs(HeUniform()((600, 100), Random(0, 0))).max().round(3))
    0.1
    """

    def __call__(self, shape: tuple[int, ...], rng: Random) -> Array:
        return Uniform(sqrt(6 / fans(shape)[0]))(shape, rng)
