"""`Pooling`. Kernel: ``src/cnn_core/pool.pyx``."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnn_core import pool

from ..._arrays import Array, channels_first, channels_last, empty
from .._settings import Settings, cast
from ._convolution import output_size
from .util import im2col


class Pooling:
    """The largest value of each window of an image; images are padded with zeros.

    Of equal values, the first in row order gets the gradient.
    """

    def __init__(self, pool_h: int, pool_w: int, stride: int = 2, pad: int = 0) -> None:
        self.pool_h, self.pool_w, self.stride, self.pad = pool_h, pool_w, stride, pad
        self.x: Any = None
        self._cache: Any = None

    def forward(self, x: Array) -> Array:
        dtype, (n, c, h, w), p = Settings.dtype, x.shape, self.pad
        oh, ow = output_size("Pooling", (h, w), (self.pool_h, self.pool_w), self.stride, p)
        images = channels_last(cast(x, dtype))
        if p:
            images = np.pad(images, [(0, 0), (p, p), (p, p), (0, 0)])
        y = empty((n, oh, ow, c), dtype)
        words = pool.argmax_words(ow, self.pool_h, self.pool_w, dtype.itemsize)
        argmax = empty((n, oh, words, c), dtype)
        window = self.pool_h, self.pool_w, self.stride, self.stride, 0, 0
        pool.max_pool2d_forward(images, y, argmax, *window)
        self.x, self._cache = x, (argmax, images.shape, window)
        return channels_first(y)

    def backward(self, dout: Array) -> Array:
        argmax, shape, window = self._cache
        dx = empty(shape, argmax.dtype)
        pool.max_pool2d_backward(channels_last(cast(dout, argmax.dtype)), argmax, dx, *window)
        p = self.pad
        if p:
            dx = dx[:, p:-p, p:-p]
        return channels_first(dx)

    @property
    def arg_max(self) -> Any:
        """Where the largest value of each window was, in the order of the book's rows."""
        if self.x is None:
            return None
        col = im2col(self.x, self.pool_h, self.pool_w, self.stride, self.pad)
        return col.reshape(-1, self.pool_h * self.pool_w).argmax(axis=1)
