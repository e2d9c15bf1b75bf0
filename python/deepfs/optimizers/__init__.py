"""Optimizers: rules that turn gradients into better weights."""

from .._public import public_names as _public_names
from ._arena import Arena, zeros_like
from ._base import Optimizer
from ._context import StepContext
from ._groups import Group
from .adagrad import AdaDelta, AdaGrad, RMSProp
from .adam import Adam, Adamax, AdamW
from .lamb import LAMB
from .lion import Lion
from .nadam import NAdam
from .radam import RAdam
from .sgd import SGD, Momentum, Nesterov

__all__ = [
    "LAMB",
    "SGD",
    "AdaDelta",
    "AdaGrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Arena",
    "Group",
    "Lion",
    "Momentum",
    "NAdam",
    "Nesterov",
    "Optimizer",
    "RAdam",
    "RMSProp",
    "StepContext",
    "zeros_like",
]


def __dir__() -> list[str]:
    return _public_names(globals())
