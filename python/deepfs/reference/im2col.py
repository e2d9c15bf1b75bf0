"""Images as columns, and back."""

from __future__ import annotations

import numpy as np

from ._types import Array, Pair, Sides
from ._window import pad, windows


def im2col(
    x: Array,
    kernel: Pair,
    stride: Pair = (1, 1),
    padding: Sides = (0, 0, 0, 0),
    dilation: Pair = (1, 1),
) -> Array:
    """Return one row per window, ``(n * oh * ow, c * kh * kw)``."""
    patches = windows(pad(x, padding), kernel, stride, dilation)
    n, c, oh, ow, kh, kw = patches.shape
    return patches.transpose(0, 2, 3, 1, 4, 5).reshape(n * oh * ow, c * kh * kw)


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
