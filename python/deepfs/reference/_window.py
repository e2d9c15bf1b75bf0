"""Borders and windows of images."""

from __future__ import annotations

import numpy as np

from ._types import Array, Pair, Sides


def pad(x: Array, padding: Sides, value: float = 0.0) -> Array:
    """Return images padded with ``value``."""
    top, bottom, left, right = padding
    return np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=value)


def windows(x: Array, kernel: Pair, stride: Pair, dilation: Pair = (1, 1)) -> Array:
    """Return all windows of images, ``(n, c, oh, ow, kh, kw)``."""
    extent = tuple(d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True))
    view = np.lib.stride_tricks.sliding_window_view(x, extent, axis=(2, 3))
    return view[:, :, :: stride[0], :: stride[1], :: dilation[0], :: dilation[1]]
