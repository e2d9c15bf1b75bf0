"""Random numbers that depend on a key and a counter alone, and what drops entries by them."""

from __future__ import annotations

import numpy as np

from ._types import Array, Pair


def philox(counter: Array, key: Pair) -> Array:
    """Return Philox4x32-10 of counters ``(n, 4)``, uint32 (Salmon et al. 2011)."""
    a, b, c, d = (counter[:, i].astype(np.uint64) for i in range(4))
    k0, k1, low = key[0], key[1], np.uint64(2**32 - 1)
    for _ in range(10):
        left, right = np.uint64(0xD2511F53) * a, np.uint64(0xCD9E8D57) * c
        high, other = right >> np.uint64(32), left >> np.uint64(32)
        a, b, c, d = high ^ b ^ np.uint64(k0), right & low, other ^ d ^ np.uint64(k1), left & low
        k0, k1 = (k0 + 0x9E3779B9) % 2**32, (k1 + 0xBB67AE85) % 2**32
    return np.stack([a, b, c, d], axis=1).astype(np.uint32)


def _words(count: int, seed: int, stream: int, call: int) -> Array:
    """Return the first random words, uint32, of a call of a stream."""
    blocks = np.arange(-(-count // 4), dtype=np.uint64)
    same = np.ones_like(blocks)
    counter = np.stack([blocks, blocks >> np.uint64(32), same * stream, same * call], axis=1)
    return philox(counter, (seed % 2**32, seed >> 32)).reshape(-1)[:count]


def dropout(x: Array, p: float, seed: int, stream: int, call: int) -> Array:
    """Return ``x`` (in memory order, flat) with entries dropped, the rest divided by 1 - p.

    It is linear in x, so it is its own gradient: that of x is ``dropout(dy, p, ...)``.
    """
    if p == 1:
        return np.zeros_like(x)
    return np.where(_words(x.size, seed, stream, call) >= p * 2**32, x / (1 - p), 0)


def spatial_dropout(x: Array, p: float, seed: int, stream: int, call: int) -> Array:
    """Return ``x`` (n, c, ...) with channels of samples dropped; its own gradient, as `dropout`."""
    n, c = x.shape[:2]
    factors = dropout(np.ones(n * c), p, seed, stream, call).reshape(n, c, *[1] * (x.ndim - 2))
    return np.where(factors > 0, x * factors, 0)


def drop_connect(x: Array, weight: Array, bias: Array, p: float, *draw: int) -> Array:
    """Return x W + b with weights dropped, by seed, stream and call."""
    dropped = dropout(weight.reshape(-1), p, *draw).reshape(weight.shape)
    return x.reshape(len(x), -1) @ dropped + bias


def drop_connect_backward(
    x: Array, weight: Array, dy: Array, p: float, *draw: int
) -> tuple[Array, Array, Array]:
    """Return the gradients of x, weight and bias."""
    dropped = dropout(weight.reshape(-1), p, *draw).reshape(weight.shape)
    dweight = x.reshape(len(x), -1).T @ dy
    masked = dropout(dweight.reshape(-1), p, *draw).reshape(weight.shape)
    return (dy @ dropped.T).reshape(x.shape), masked, dy.sum(0)


def gaussian_noise(x: Array, std: float, seed: int, stream: int, call: int) -> Array:
    """Return ``x`` (in memory order, flat) with normal numbers added (Box and Muller 1958).

    The gradient of x is dy itself.
    """
    pairs = _words(x.size + x.size % 2, seed, stream, call).reshape(-1, 2) * 2.0**-32
    radius = np.sqrt(-2 * np.log(pairs[:, 0] + 2.0**-32))  # the logarithm is never of 0
    angle = 2 * np.pi * pairs[:, 1]
    normal = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    return x + std * normal.reshape(-1)[: x.size]
