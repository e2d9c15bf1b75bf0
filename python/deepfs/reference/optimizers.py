"""NumPy references of optimizer steps, regularization and clipping.

A step takes weights, gradient, state and settings, and returns new weights and state.
"""

from __future__ import annotations

import numpy as np

from ._types import Array


def sgd(w: Array, g: Array, lr: float) -> Array:
    """Return the weights after a step against the gradient."""
    return w - lr * g


def momentum(
    w: Array, g: Array, v: Array, lr: float, mu: float, form: str = "classic", gain: float = 1.0
) -> tuple[Array, Array]:
    """Return weights and velocity after a step; ``gain`` is 1 - dampening of the form "torch"."""
    if form == "classic":
        v = mu * v - lr * g
        return w + v, v
    v = mu * v + ((1 - mu) if form == "ema" else gain) * g
    return w - lr * v, v


def nesterov(w: Array, g: Array, v: Array, lr: float, mu: float) -> tuple[Array, Array]:
    """Return weights, looking ahead, and velocity after a step."""
    before, v = v, mu * v - lr * g
    return w - mu * before + (1 + mu) * v, v


def nesterov_two_points(
    theta: Array, g_ahead: Array, v: Array, lr: float, mu: float
) -> tuple[Array, Array]:
    """Return the weights themselves and the velocity; the gradient is that at theta + mu v."""
    v = mu * v - lr * g_ahead
    return theta + v, v


def adagrad(w: Array, g: Array, h: Array, lr: float, eps: float) -> tuple[Array, Array]:
    """Return weights and sum of squared gradients after a step."""
    h = h + g * g
    return w - lr * g / (np.sqrt(h) + eps), h


def adadelta(
    w: Array, g: Array, h: Array, d: Array, lr: float, rho: float, eps: float
) -> tuple[Array, Array, Array]:
    """Return weights and mean squares of gradients and steps after a step."""
    h = rho * h + (1 - rho) * g * g
    step = np.sqrt(d + eps) / np.sqrt(h + eps) * g
    d = rho * d + (1 - rho) * step * step
    return w - lr * step, h, d


def rmsprop(
    w: Array,
    g: Array,
    v: Array,
    m: Array,
    b: Array,
    lr: float,
    rho: float,
    eps: float,
    centered: bool = False,
    mu: float = 0.0,
) -> tuple[Array, Array, Array, Array]:
    """Return weights, both means and velocity after a step."""
    v = rho * v + (1 - rho) * g * g
    m = rho * m + (1 - rho) * g
    size = np.sqrt(np.maximum(v - m * m, 0) if centered else v)
    b = mu * b + g / (size + eps)
    return w - lr * b, v, m, b


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
    eps_mode: str = "hat",
) -> tuple[Array, Array, Array]:
    """Return weights and both running means after step ``t`` (from 1)."""
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g * g
    if eps_mode == "textbook":
        lr_t = lr * np.sqrt(1 - beta2**t) / (1 - beta1**t)
        return w - lr_t * m / (np.sqrt(v) + eps), m, v
    m_hat, v_hat = m / (1 - beta1**t), v / (1 - beta2**t)
    return w - lr * m_hat / (np.sqrt(v_hat) + eps), m, v


def amsgrad(
    w: Array,
    g: Array,
    m: Array,
    v: Array,
    v_max: Array,
    t: int,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
) -> tuple[Array, Array, Array, Array]:
    """Return weights, both running means and the largest second one after step ``t`` (from 1)."""
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g * g
    v_max = np.maximum(v_max, v)
    m_hat, v_hat = m / (1 - beta1**t), v_max / (1 - beta2**t)
    return w - lr * m_hat / (np.sqrt(v_hat) + eps), m, v, v_max


def nadam(
    w: Array,
    g: Array,
    m: Array,
    v: Array,
    t: int,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    psi: float = 0.004,
) -> tuple[Array, Array, Array]:
    """Return weights and both running means after step ``t`` (from 1)."""
    mu = [beta1 * (1 - 0.5 * 0.96 ** (psi * k)) for k in range(1, t + 2)]
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g * g
    ahead = mu[t] * m / (1 - np.prod(mu)) + (1 - mu[t - 1]) * g / (1 - np.prod(mu[:t]))
    return w - lr * ahead / (np.sqrt(v / (1 - beta2**t)) + eps), m, v


def radam(
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
    m_hat = m / (1 - beta1**t)
    most = 2 / (1 - beta2) - 1
    rho = most - 2 * t * beta2**t / (1 - beta2**t)
    if rho <= 5:
        return w - lr * m_hat, m, v
    r = np.sqrt((rho - 4) * (rho - 2) * most / ((most - 4) * (most - 2) * rho))
    return w - lr * m_hat * r * np.sqrt(1 - beta2**t) / (np.sqrt(v) + eps), m, v


def adamax(
    w: Array,
    g: Array,
    m: Array,
    u: Array,
    t: int,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
) -> tuple[Array, Array, Array]:
    """Return weights, running mean and decaying maximum after step ``t`` (from 1)."""
    m = beta1 * m + (1 - beta1) * g
    u = np.maximum(beta2 * u, np.abs(g) + eps)
    return w - lr / (1 - beta1**t) * m / u, m, u


def lion(
    w: Array, g: Array, m: Array, lr: float, beta1: float, beta2: float, decay: float = 0.0
) -> tuple[Array, Array]:
    """Return weights and running mean after a step."""
    w = (1 - lr * decay) * w - lr * np.sign(beta1 * m + (1 - beta1) * g)
    return w, beta2 * m + (1 - beta2) * g


def lamb(
    w: Array,
    g: Array,
    m: Array,
    v: Array,
    t: int,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    decay: float = 0.0,
) -> tuple[Array, Array, Array]:
    """Return one parameter and both its running means after step ``t`` (from 1)."""
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g * g
    u = m / (1 - beta1**t) / (np.sqrt(v / (1 - beta2**t)) + eps) + decay * w
    w_norm, u_norm = np.sqrt((w * w).sum()), np.sqrt((u * u).sum())
    ratio = w_norm / u_norm if w_norm > 0 and u_norm > 0 else 1.0
    return w - lr * ratio * u, m, v


def muon(
    w: Array, g: Array, m: Array, lr: float, mu: float, nesterov: bool, steps: int, decay: float = 0
) -> tuple[Array, Array]:
    """Return a matrix (outputs, inputs) and its momentum after a step."""
    m = mu * m + g
    d = g + mu * m if nesterov else m
    x = d / np.sqrt((d * d).sum())
    for _ in range(steps):
        square = x @ x.T
        x = 3.4445 * x - 4.7750 * square @ x + 2.0315 * square @ square @ x
    return (1 - lr * decay) * w - lr * max(1, len(w) / len(w.T)) ** 0.5 * x, m


def lookahead(slow: Array, fast: Array, alpha: float) -> Array:
    """Return the slow weights after an update; the fast ones become the same."""
    return (1 - alpha) * slow + alpha * fast


def l2(w: Array, rate: float) -> tuple[float, Array]:
    """Return penalty and gradient of L2 regularisation."""
    return rate / 2 * float((w * w).sum()), rate * w


def l1(w: Array, rate: float) -> tuple[float, Array]:
    """Return penalty and subgradient of L1 regularisation."""
    return rate * float(np.abs(w).sum()), rate * np.sign(w)


def soft_threshold(w: Array, width: float) -> Array:
    """Return weights moved towards 0 by ``width``, and not across."""
    return np.sign(w) * np.maximum(np.abs(w) - width, 0)


def unit_norms(w: Array) -> tuple[Array, float]:
    """Return the norms of the columns of a matrix, or of filters, and the root of their size."""
    axes = (0,) if w.ndim == 2 else tuple(range(1, w.ndim))
    norm = np.sqrt((w * w).sum(axis=axes, keepdims=True))
    return norm, float(np.sqrt(w.size / norm.size))


def group_lasso(w: Array, rate: float) -> tuple[float, Array]:
    """Return penalty and gradient of the group lasso; 0 for units of zeros."""
    norm, root = unit_norms(w)
    return rate * root * float(norm.sum()), rate * root * w / np.maximum(norm, 1e-300)


def group_soft_threshold(w: Array, width: float) -> Array:
    """Return weights, each unit moved towards 0 by ``width`` times the root of its size."""
    norm, root = unit_norms(w)
    return w * np.maximum(0, 1 - width * root / np.maximum(norm, 1e-300))


def weight_decay(w: Array, lr: float, rate: float) -> Array:
    """Return weights that have decayed past the gradient."""
    return (1 - lr * rate) * w


def max_norm(w: Array, limit: float) -> Array:
    """Return weights, the columns of a matrix or the filters of more axes no longer than limit."""
    return w * np.minimum(1, limit / np.maximum(unit_norms(w)[0], 1e-300))


def clip_norm(gradients: list[Array], limit: float) -> tuple[float, list[Array]]:
    """Return the norm of all gradients together, and the gradients scaled down to the limit."""
    norm = float(np.sqrt(sum((g * g).sum() for g in gradients)))
    return norm, [g * min(1.0, limit / (norm + 1e-6)) for g in gradients]
