"""Initializers: initial values of parameters, as functions ``(shape, rng) -> array``.

A `Dense` weight (in, out) has fan_in = in and fan_out = out; the weight of a convolution
(co, ci/groups, kh, kw) has fan_in = ci/groups * kh * kw and fan_out = co * kh * kw. Normal
distributions are not truncated (Keras truncates them). Wherever a layer takes an initializer, it
takes an object of this module, its name in snake case (``"he_normal"``), or any function of that
form. `deepfs.lsuv` initializes a whole network from data.
"""

from __future__ import annotations

import re

from .._elsewhere import explain_absent as _explain_absent
from .._public import public_names as _public_names
from ._base import Initializer, fans
from ._named import BY_NAME as _BY_NAME
from ._named import get
from .by_fan import GlorotNormal, GlorotUniform, HeNormal, HeUniform, LecunNormal, LecunUniform
from .constant import Constant, Ones, Zeros
from .dirac import Dirac
from .drawn import Normal, TruncatedNormal, Uniform
from .orthogonal import Orthogonal
from .whitening import patch_whitening

__all__ = [
    "Constant",
    "Dirac",
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
    "patch_whitening",
]


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


_BY_NAME |= {_snake(name): globals()[name] for name in __all__ if isinstance(globals()[name], type)}
_BY_NAME |= {"xavier_normal": GlorotNormal, "xavier_uniform": GlorotUniform}


def __dir__() -> list[str]:
    return _public_names(globals())


_BY_NAME |= {"kaiming_normal": HeNormal, "kaiming_uniform": HeUniform}

_explain_absent(__name__)
