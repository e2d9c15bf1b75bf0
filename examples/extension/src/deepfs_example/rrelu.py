"""The layer RReLU. Kernel: ``rrelu_kernel.pyx``."""

from dataclasses import dataclass

import numpy as np

from deepfs.layers import Layer, empty, logical, number, physical
from deepfs.random import get_seed, new_stream

from . import rrelu_kernel


@dataclass(eq=False)
class RReLU(Layer):
    """Randomised leaky ReLU: y = x where x > 0, else a x; in training, a random a for each entry.

    Parameters
    ----------
    low, high : float
        Range of a, in (-inf, inf), low at most high. Inference takes the middle.

    Notes
    -----
    Shapes: any, unchanged. Buffer ``key``: seed and stream of the random numbers, chosen when the
    layer is built; buffer ``calls``: how often it has drawn. A training that is resumed goes on
    with the same numbers.

    References
    ----------
    Xu et al., "Empirical evaluation of rectified activations in convolutional network", 2015,
    arXiv:1505.00853.
    """

    low: float = 1 / 8
    high: float = 1 / 3

    changeable = frozenset({"low", "high"})

    def __post_init__(self):
        self.low = number(self.low, "low", "(-inf, inf)")
        self.high = number(self.high, "high", "(-inf, inf)")
        if self.low > self.high:
            raise ValueError(f"RReLU takes low <= high, got {self.low} and {self.high}")

    def _out_shape(self, in_shape):
        return in_shape

    def _build(self, in_shape, dtype):
        self.add_buffer("key", (2,), np.int64, [get_seed(), new_stream()])
        self.add_buffer("calls", (1,), np.int64)

    def _forward(self, x, training):
        x = physical(x)
        middle = (self.low + self.high) / 2
        low, high = (self.low, self.high) if training else (middle, middle)
        seed, stream = map(int, self.buffered["key"])
        calls = self.buffered["calls"]
        draw = (low, high, seed, stream, int(calls[0]) % 2**32)
        if training:
            calls += 1
        y = empty(x.shape, x.dtype)
        rrelu_kernel.scale(x.reshape(-1), x.reshape(-1), y.reshape(-1), *draw)
        return logical(y), (x, draw)

    def _backward(self, dy, cache, need_dx):
        if not need_dx:
            return None
        x, draw = cache
        dx = empty(x.shape, x.dtype)
        rrelu_kernel.scale(x.reshape(-1), physical(dy).reshape(-1), dx.reshape(-1), *draw)
        return logical(dx)
