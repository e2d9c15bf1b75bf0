"""NumPy reference of `deepfs.layers.Conv2D`."""

from __future__ import annotations

import numpy as np

from ._types import Array, Pair, Sides
from ._window import pad, windows


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
    patches = grouped_windows(x, weight, stride, padding, dilation, groups)
    filters = weight.reshape(groups, -1, *weight.shape[1:])
    y = np.einsum("ngcijab,gocab->ngoij", patches, filters)
    return y.reshape(len(x), len(weight), *y.shape[3:]) + bias[:, None, None]


def conv2d_backward(
    x: Array,
    weight: Array,
    dy: Array,
    stride: Pair = (1, 1),
    padding: Sides = (0, 0, 0, 0),
    dilation: Pair = (1, 1),
    groups: int = 1,
) -> tuple[Array, Array, Array]:
    """Return dx, dweight, dbias."""
    dx = spread(dy, weight, x.shape[2:], stride, padding, dilation, groups)
    patches = grouped_windows(x, weight, stride, padding, dilation, groups)
    grouped = dy.reshape(len(dy), groups, dy.shape[1] // groups, *dy.shape[2:])
    dweight = np.einsum("ngcijab,ngoij->gocab", patches, grouped).reshape(weight.shape)
    return dx, dweight, dy.sum(axis=(0, 2, 3))


def grouped_windows(
    x: Array, weight: Array, stride: Pair, padding: Sides, dilation: Pair, groups: int
) -> Array:
    """Return all windows of images, ``(n, groups, c/groups, oh, ow, kh, kw)``."""
    patches = windows(pad(x, padding), weight.shape[2:], stride, dilation)
    return patches.reshape(len(x), groups, weight.shape[1], *patches.shape[2:])


def spread(
    x: Array,
    weight: Array,
    image: tuple[int, ...],
    stride: Pair,
    padding: Sides,
    dilation: Pair,
    groups: int,
) -> Array:
    """Return images in which every pixel of x adds its weighted window: the adjoint of conv2d."""
    (n, c, h, w), (top, bottom, left, right) = x.shape, padding
    x = x.reshape(n, groups, c // groups, h, w)
    filters = weight.reshape(groups, c // groups, *weight.shape[1:])
    high, wide = image[0] + top + bottom, image[1] + left + right
    y = np.zeros((n, groups, weight.shape[1], high, wide), x.dtype)
    for a, b in np.ndindex(*weight.shape[2:]):
        rows = slice(a * dilation[0], a * dilation[0] + (h - 1) * stride[0] + 1, stride[0])
        columns = slice(b * dilation[1], b * dilation[1] + (w - 1) * stride[1] + 1, stride[1])
        y[..., rows, columns] += np.einsum("ngchw,gco->ngohw", x, filters[..., a, b])
    joined = y.reshape(n, groups * weight.shape[1], high, wide)
    return joined[:, :, top : high - bottom, left : wide - right]
