"""Optimizers: rules that turn gradients into better weights."""

from ._base import Arena, Optimizer
from ._plan import Group
from .adagrad import AdaDelta, AdaGrad, RMSProp
from .adam import LAMB, Adam, Adamax, AdamW, NAdam, RAdam
from .lion import Lion
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
]
