"""Optimizers: rules that turn gradients into better weights."""

from ._base import Arena, Optimizer
from .adam import Adam
from .sgd import SGD, Momentum

__all__ = ["SGD", "Adam", "Arena", "Momentum", "Optimizer"]
