"""Initializers: initial values of parameters, as functions ``(shape, rng) -> array``.

A `Dense` weight (in, out) has fan_in = in and fan_out = out; the weight of a convolution
(co, ci/groups, kh, kw) has fan_in = ci/groups * kh * kw and fan_out = co * kh * kw. Normal
distributions are not truncated (Keras truncates them). Wherever a layer takes an initializer, it
takes an object of this module, its name in snake case (``"he_normal"``), or any function of that
form. `deepfs.lsuv` initializes a whole network from data.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from .._elsewhere import explain_absent as _explain_absent
from .._names import hint as _hint
from .._public import public_names as _public_names
from ._base import Initializer, fans
from .by_fan import GlorotNormal, GlorotUniform, HeNormal, HeUniform, LecunNormal, LecunUniform
from .constant import Constant, Ones, Zeros
from .drawn import Normal, TruncatedNormal, Uniform
from .orthogonal import Orthogonal

__all__ = [
    "Constant",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Initializer",
    "LecunNormal",
    "LecunUniform",
    "Normal",
    "Ones",
    "Orthogonal",
    "TruncatedNormal",
    "Uniform",
    "Zeros",
    "fans",
    "get",
]


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def get(initializer: str | Initializer) -> Initializer:
    """Return the initializer of a name; return a function unchanged.

    Raises
    ------
    ValueError
        If no initializer has that name.
    TypeError
        If it is neither a name nor a function, such as a class: write ``HeNormal()``.

    Examples
    --------
    >>> get("he_normal")
    HeNormal()
    """
    if isinstance(initializer, str):
        if initializer not in _BY_NAME:
            names = ", ".join(sorted(_BY_NAME))
            likely = _hint(initializer, _BY_NAME)
            raise ValueError(f"initializer must be one of {names}, got {initializer!r}{likely}")
        return _BY_NAME[initializer]()
    if isinstance(initializer, type):
        name = initializer.__name__
        raise TypeError(f"initializer must be an object, got the class {name}: write {name}()")
    if not callable(initializer):
        raise TypeError(f"initializer must be a name or a function, got {initializer!r}")
    return initializer


_BY_NAME: dict[str, Callable[[], Initializer]] = {
    _snake(name): globals()[name] for name in __all__ if isinstance(globals()[name], type)
}
_BY_NAME |= {"xavier_normal": GlorotNormal, "xavier_uniform": GlorotUniform}


def __dir__() -> list[str]:
    return _public_names(globals())


_BY_NAME |= {"kaiming_normal": HeNormal, "kaiming_uniform": HeUniform}

_explain_absent(__name__)
