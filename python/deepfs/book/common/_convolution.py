"""`Convolution`. Kernels: ``src/cnn_core/conv.pyx``."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnn_core import conv

from ... import config
from ..._arrays import Array, channels_first, channels_last, empty
from .._settings import Settings, cast
from ._affine import zeros
from .util import im2col


class Convolution:
    """Convolution of images (n, c, h, w) with filters ``W`` (filters, c, height, width).

    ``W`` and ``b`` are the caller's arrays and are read on each call; ``b`` may be a number. After
    ``backward``, ``dW`` and ``db`` are their gradients. Images lie channels-last in memory, which
    their indices do not show.
    """

    def __init__(self, W: Array, b: Any, stride: int = 1, pad: int = 0) -> None:
        self.W, self.b, self.stride, self.pad = W, b, stride, pad
        self.x: Any = None
        self.dW: Any = None
        self.db: Any = None
        self._cache: Any = None

    def forward(self, x: Array) -> Array:
        dtype, W, b = Settings.dtype, self.W, self.b
        filters, c, fh, fw = W.shape
        s, p = self.stride, self.pad
        n, channels, h, w = x.shape
        if channels != c:
            raise ValueError(
                f"Convolution with W of shape {W.shape} takes {c} channels, "
                f"got x of shape {x.shape}"
            )
        oh, ow = output_size("Convolution", (h, w), (fh, fw), s, p)
        # kernels vectorise over filters; the book, too, lays its filters out for each product
        weight = np.ascontiguousarray(W.transpose(2, 3, 1, 0), dtype)
        images = channels_last(cast(x, dtype))
        y = empty((n, oh, ow, filters), dtype)
        window = (s, s, p, p, 1, 1, 1, "auto" if config.winograd else "direct")
        bias = None
        if np.ndim(b) or b != 0:
            bias = np.ascontiguousarray(np.broadcast_to(b, (filters,)), dtype)
        conv.conv2d_forward(images, weight, bias, y, *window)
        self.x, self._cache = x, (images, weight, window)
        return channels_first(y)

    def backward(self, dout: Array) -> Array:
        images, weight, window = self._cache
        dtype = images.dtype
        dy = channels_last(cast(dout, dtype))
        dweight, self.db = zeros(weight.shape, dtype), np.zeros(weight.shape[-1], dtype)
        conv.conv2d_backward_weight(images, dy, dweight, self.db, *window)
        self.dW = dweight.transpose(3, 2, 0, 1)
        dx = empty(images.shape, dtype)
        conv.conv2d_backward_input(dy, weight, dx, *window)
        return channels_first(dx)

    @property
    def col(self) -> Any:
        """The column matrix of the last input, which the kernels do without."""
        if self.x is None:
            return None
        fh, fw = self.W.shape[2:]
        return im2col(self.x, fh, fw, self.stride, self.pad)

    @property
    def col_W(self) -> Any:
        """The filters of the last input as columns of a matrix."""
        if self._cache is None:
            return None
        weight = self._cache[1]
        return weight.transpose(2, 0, 1, 3).reshape(-1, weight.shape[-1])


def output_size(
    who: str, size: tuple[int, int], window: tuple[int, int], stride: int, pad: int
) -> tuple[int, int]:
    """Return height and width of the result of a window; raise if it exceeds the images."""
    (h, w), (fh, fw) = size, window
    if h + 2 * pad < fh or w + 2 * pad < fw:
        raise ValueError(
            f"{who} with a window of {fh}x{fw} and pad={pad} must fit into the images, "
            f"got {h}x{w} pixels"
        )
    return (h + 2 * pad - fh) // stride + 1, (w + 2 * pad - fw) // stride + 1
