"""The same operations in plain NumPy: slow, short, and obviously right.

Each is the twin of a layer, a loss or an optimizer step, and takes images as people read them,
``(n, c, h, w)``. Tests compare the kernels with them; step through them to see how one works.
Backward passes are not repeated here: `deepfs.testing` checks those against finite differences.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "adam",
    "avg_pool2d",
    "batch_norm",
    "col2im",
    "conv2d",
    "cross_entropy",
    "dense",
    "dropout",
    "flatten",
    "global_avg_pool2d",
    "im2col",
    "max_pool2d",
    "mean_squared_error",
    "momentum",
    "philox",
    "relu",
    "sgd",
    "sigmoid",
    "softmax",
    "tanh",
]

Array: TypeAlias = NDArray[Any]
Pair: TypeAlias = tuple[int, int]
Sides: TypeAlias = tuple[int, int, int, int]  # top, bottom, left, right


def pad(x: Array, padding: Sides, value: float = 0.0) -> Array:
    """Return images with a frame of ``value`` around them."""
    top, bottom, left, right = padding
    return np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=value)


def windows(x: Array, kernel: Pair, stride: Pair, dilation: Pair = (1, 1)) -> Array:
    """Return all windows of images, ``(n, c, oh, ow, kh, kw)``."""
    extent = tuple(d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True))
    view = np.lib.stride_tricks.sliding_window_view(x, extent, axis=(2, 3))
    return view[:, :, :: stride[0], :: stride[1], :: dilation[0], :: dilation[1]]


def dense(x: Array, weight: Array, bias: Array) -> Array:
    """Return x W + b."""
    return x.reshape(len(x), -1) @ weight + bias


def conv2d(
    x: Array,
    weight: Array,
    bias: Array,
    stride: Pair = (1, 1),
    padding: Sides = (0, 0, 0, 0),
    dilation: Pair = (1, 1),
    groups: int = 1,
) -> Array:
    """Return the cross-correlation with ``weight`` (co, c/groups, kh, kw)."""
    seen = windows(pad(x, padding), weight.shape[2:], stride, dilation)
    n, _, oh, ow, kh, kw = seen.shape
    seen = seen.reshape(n, groups, weight.shape[1], oh, ow, kh, kw)
    filters = weight.reshape(groups, -1, *weight.shape[1:])
    y = np.einsum("ngcijab,gocab->ngoij", seen, filters)
    return y.reshape(n, len(weight), oh, ow) + bias[:, None, None]


def im2col(
    x: Array,
    kernel: Pair,
    stride: Pair = (1, 1),
    padding: Sides = (0, 0, 0, 0),
    dilation: Pair = (1, 1),
) -> Array:
    """Return one row per window, ``(n * oh * ow, c * kh * kw)``."""
    seen = windows(pad(x, padding), kernel, stride, dilation)
    n, c, oh, ow, kh, kw = seen.shape
    return seen.transpose(0, 2, 3, 1, 4, 5).reshape(n * oh * ow, c * kh * kw)


def col2im(
    col: Array,
    shape: tuple[int, int, int, int],
    kernel: Pair,
    stride: Pair = (1, 1),
    padding: Sides = (0, 0, 0, 0),
    dilation: Pair = (1, 1),
) -> Array:
    """Return images of ``shape`` in which every entry of ``col`` is added where it came from."""
    numbers = np.arange(1, np.prod(shape) + 1).reshape(shape)  # 0: the padding
    x = np.zeros(np.prod(shape) + 1, col.dtype)
    np.add.at(x, im2col(numbers, kernel, stride, padding, dilation), col)
    return x[1:].reshape(shape)


def max_pool2d(x: Array, kernel: Pair, stride: Pair, padding: Sides = (0, 0, 0, 0)) -> Array:
    """Return the largest value of each window."""
    return windows(pad(x, padding, -np.inf), kernel, stride).max(axis=(4, 5))


def avg_pool2d(
    x: Array,
    kernel: Pair,
    stride: Pair,
    padding: Sides = (0, 0, 0, 0),
    count_include_pad: bool = False,
) -> Array:
    """Return the mean of each window."""
    total = windows(pad(x, padding), kernel, stride).sum(axis=(4, 5))
    counted = np.ones_like(x)
    count = windows(pad(counted, padding, float(count_include_pad)), kernel, stride)
    return total / count.sum(axis=(4, 5))


def global_avg_pool2d(x: Array) -> Array:
    """Return the mean of each channel, ``(n, c)``."""
    return x.mean(axis=(2, 3))


def batch_norm(x: Array, gamma: Array, beta: Array, eps: float = 1e-5) -> Array:
    """Return ``x`` normalised by the mean and variance of the batch, per channel."""
    axes = (0,) if x.ndim == 2 else (0, 2, 3)
    shape = (1, -1) if x.ndim == 2 else (1, -1, 1, 1)
    mean, var = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
    return (x - mean) / np.sqrt(var + eps) * gamma.reshape(shape) + beta.reshape(shape)


def relu(x: Array) -> Array:
    """Return max(x, 0)."""
    return np.maximum(x, 0)


def sigmoid(x: Array) -> Array:
    """Return 1 / (1 + exp(-x)), written so that no exponential overflows."""
    return (1 + np.tanh(x / 2)) / 2


def tanh(x: Array) -> Array:
    """Return tanh(x)."""
    return np.tanh(x)


def softmax(x: Array) -> Array:
    """Return exp(x) / sum(exp(x)) along the second axis."""
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def flatten(x: Array) -> Array:
    """Return each sample as one row."""
    return x.reshape(len(x), -1)


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


def dropout(x: Array, p: float, seed: int, stream: int, call: int) -> Array:
    """Return ``x`` (in memory order, flat) with entries dropped, the rest divided by 1 - p."""
    blocks = np.arange(-(-x.size // 4), dtype=np.uint64)
    counter = np.stack(
        [blocks, blocks >> np.uint64(32), np.full_like(blocks, stream), np.full_like(blocks, call)],
        axis=1,
    )
    words = philox(counter, (seed % 2**32, seed >> 32)).reshape(-1)[: x.size]
    return np.where(words >= p * 2**32, x / (1 - p), 0) if p < 1 else np.zeros_like(x)


def cross_entropy(logits: Array, targets: Array) -> float:
    """Return the mean of -sum(targets * log(softmax(logits))), targets ``(n, c)``."""
    return float(-(targets * np.log(softmax(logits))).sum() / len(logits))


def mean_squared_error(outputs: Array, targets: Array) -> float:
    """Return the mean of the squared differences."""
    return float(((outputs - targets) ** 2).mean())


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
