"""Twins of optimizer steps."""

from __future__ import annotations

import numpy as np

from ._types import Array


def sgd(w: Array, g: Array, lr: float) -> Array:
    """Return the weights after a step against the gradient."""
    return w - lr * g


def momentum(w: Array, g: Array, v: Array, lr: float, mu: float) -> tuple[Array, Array]:
    """Return weights and velocity after a step."""
    v = mu * v - lr * g
    return w + v, v


def adam(
    w: Array,
    g: Array,
    m: Array,
    v: Array,
    t: int,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
) -> tuple[Array, Array, Array]:
    """Return weights and both running means after step ``t`` (from 1)."""
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g * g
    m_hat, v_hat = m / (1 - beta1**t), v / (1 - beta2**t)
    return w - lr * m_hat / (np.sqrt(v_hat) + eps), m, v
