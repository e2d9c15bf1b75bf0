"""Optimizers with the names of the book's ``common/optimizer.py``.

``update(params, grads)`` changes the arrays of ``params`` in place, by one compiled pass over each;
numbers are replaced in the dict. State is kept by name, and made when a name is first seen, so one
object serves networks whose names differ. Gradients that are NaN are not refused.
Kernel: ``src/cnn_core/optimizers.pyx``.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from functools import cache
from math import inf
from typing import Any

import numpy as np

from cnn_core import optimizers as rules
from cnn_core.optimizer_rule import Rule, step

from ..._arrays import Array

__all__ = ["SGD", "AdaGrad", "Adam", "Momentum", "Nesterov", "RMSprop", "np"]

EPS = 1e-7
PIECE = 8192  # entries per unit of work
PLAIN = np.array([[1.0, 0, 0, 0, 0]])  # no regularisation


@cache
def pieces_of(size: int) -> Array:
    """Return the units of work of an array, as the kernel takes them."""
    rows = [(start, min(start + PIECE, size), 0, 0) for start in range(0, size, PIECE)]
    return np.array(rows, np.intp)


def fused(
    rule: Rule, w: Any, g: Any, state: list[Any], lr: Any, constants: tuple[float, ...]
) -> bool:
    """Take a step by the kernel; return False if the parameter is no array that it can take."""
    if not (isinstance(w, np.ndarray) and w.dtype.char in "fd" and w.flags.carray and w.size):
        return False
    if not isinstance(g, np.ndarray) or g.shape != w.shape:
        return False
    g = np.ascontiguousarray(g, w.dtype).reshape(-1)
    first, second = (*(array.reshape(-1) for array in state), None, None)[:2]
    step(
        rule, w.reshape(-1), g, first, second, None, None, pieces_of(w.size), PLAIN, None, None,
        float(lr), inf, constants,
    )  # fmt: skip
    return True


def zeros_for(value: Any) -> Array:
    """Return the state of a parameter before its first step."""
    known = getattr(value, "dtype", None) in (np.float32, np.float64)
    return np.zeros(np.shape(value), value.dtype if known else np.float64)


class SGD:
    """w = w - lr g."""

    def __init__(self, lr: float = 0.01) -> None:
        self.lr = lr

    def update(self, params: MutableMapping[str, Any], grads: Mapping[str, Any]) -> None:
        for key in params:
            if not fused(rules.sgd, params[key], grads[key], [], self.lr, ()):
                params[key] -= self.lr * grads[key]


class Momentum:
    """v = momentum v - lr g;  w = w + v."""

    def __init__(self, lr: float = 0.01, momentum: float = 0.9) -> None:
        self.lr, self.momentum = lr, momentum
        self.v: Any = None

    def update(self, params: MutableMapping[str, Any], grads: Mapping[str, Any]) -> None:
        v = self.v = {} if self.v is None else self.v
        for key in params:
            if key not in v:
                v[key] = zeros_for(params[key])
            constants = (self.momentum,)
            if not fused(rules.momentum, params[key], grads[key], [v[key]], self.lr, constants):
                v[key] = self.momentum * v[key] - self.lr * grads[key]
                params[key] += v[key]


class Nesterov:
    """v = momentum v - lr g;  w = w + momentum v - lr g (arXiv:1212.0901)."""

    def __init__(self, lr: float = 0.01, momentum: float = 0.9) -> None:
        self.lr, self.momentum = lr, momentum
        self.v: Any = None

    def update(self, params: MutableMapping[str, Any], grads: Mapping[str, Any]) -> None:
        v = self.v = {} if self.v is None else self.v
        for key in params:
            if key not in v:
                v[key] = zeros_for(params[key])
            constants = (self.momentum,)
            if not fused(rules.nesterov, params[key], grads[key], [v[key]], self.lr, constants):
                v[key] = self.momentum * v[key] - self.lr * grads[key]
                params[key] += self.momentum * v[key] - self.lr * grads[key]


class _Squares:
    """h = keep h + gain g^2;  w = w - lr g / (sqrt(h) + 1e-7)."""

    lr: float
    h: Any

    def _update(
        self,
        params: MutableMapping[str, Any],
        grads: Mapping[str, Any],
        keep: float,
        gain: float,
    ) -> None:
        h = self.h = {} if self.h is None else self.h
        for key in params:
            if key not in h:
                h[key] = zeros_for(params[key])
            constants = (keep, gain, EPS)
            if not fused(rules.squares, params[key], grads[key], [h[key]], self.lr, constants):
                h[key] = keep * h[key] + gain * grads[key] * grads[key]
                params[key] -= self.lr * grads[key] / (np.sqrt(h[key]) + EPS)


class AdaGrad(_Squares):
    """h = h + g^2;  w = w - lr g / (sqrt(h) + 1e-7)."""

    def __init__(self, lr: float = 0.01) -> None:
        self.lr = lr
        self.h: Any = None

    def update(self, params: MutableMapping[str, Any], grads: Mapping[str, Any]) -> None:
        self._update(params, grads, 1.0, 1.0)


class RMSprop(_Squares):
    """h = rate h + (1 - rate) g^2;  w = w - lr g / (sqrt(h) + 1e-7)."""

    def __init__(self, lr: float = 0.01, decay_rate: float = 0.99) -> None:
        self.lr, self.decay_rate = lr, decay_rate
        self.h: Any = None

    def update(self, params: MutableMapping[str, Any], grads: Mapping[str, Any]) -> None:
        self._update(params, grads, self.decay_rate, 1 - self.decay_rate)


class Adam:
    """m, v: running means of g and g^2;  w = w - lr_t m / (sqrt(v) + 1e-7) (arXiv:1412.6980).

    lr_t = lr sqrt(1 - beta2^t) / (1 - beta1^t). The 1e-7 is added to the uncorrected v.
    """

    def __init__(self, lr: float = 0.001, beta1: float = 0.9, beta2: float = 0.999) -> None:
        self.lr, self.beta1, self.beta2 = lr, beta1, beta2
        self.iter = 0
        self.m: Any = None
        self.v: Any = None

    def update(self, params: MutableMapping[str, Any], grads: Mapping[str, Any]) -> None:
        m, v = self.m, self.v = ({}, {}) if self.m is None else (self.m, self.v)
        self.iter += 1
        beta1, beta2 = self.beta1, self.beta2
        lr = self.lr * np.sqrt(1.0 - beta2**self.iter) / (1.0 - beta1**self.iter)
        constants = (beta1, beta2, 1.0, 0.0, 1.0, EPS)
        for key in params:
            if key not in m:
                m[key], v[key] = zeros_for(params[key]), zeros_for(params[key])
            g = grads[key]
            if not fused(rules.adam, params[key], g, [m[key], v[key]], lr, constants):
                m[key] = m[key] + (1 - beta1) * (g - m[key])
                v[key] = v[key] + (1 - beta2) * (g**2 - v[key])
                params[key] -= lr * m[key] / (np.sqrt(v[key]) + EPS)
