"""NumPy reference of `deepfs.layers.ConvTranspose2D`: the adjoint of convolution."""

from __future__ import annotations

import numpy as np

from ._types import Array, Pair, Sides
from .conv import grouped_windows, spread


def conv_transpose2d(
    x: Array,
    weight: Array,
    bias: Array,
    stride: Pair = (1, 1),
    padding: Sides = (0, 0, 0, 0),
    dilation: Pair = (1, 1),
    groups: int = 1,
    output_padding: Pair = (0, 0),
) -> Array:
    """Return the input gradient of conv2d with ``weight`` (c, co/groups, kh, kw), plus a bias."""
    image = tuple(
        (x.shape[2 + k] - 1) * stride[k] - sum(padding[2 * k : 2 * k + 2])
        + dilation[k] * (weight.shape[2 + k] - 1) + 1 + output_padding[k]
        for k in (0, 1)
    )  # fmt: skip
    return spread(x, weight, image, stride, padding, dilation, groups) + bias[:, None, None]


def conv_transpose2d_backward(
    x: Array,
    weight: Array,
    dy: Array,
    stride: Pair = (1, 1),
    padding: Sides = (0, 0, 0, 0),
    dilation: Pair = (1, 1),
    groups: int = 1,
) -> tuple[Array, Array, Array]:
    """Return dx, dweight, dbias: those of conv2d with x and dy exchanged."""
    patches = grouped_windows(dy, weight, stride, padding, dilation, groups)
    patches = patches[:, :, :, : x.shape[2], : x.shape[3]]  # output_padding may add one
    filters = weight.reshape(groups, -1, *weight.shape[1:])
    dx = np.einsum("ngoijab,gcoab->ngcij", patches, filters).reshape(x.shape)
    grouped = x.reshape(len(x), groups, x.shape[1] // groups, *x.shape[2:])
    dweight = np.einsum("ngoijab,ngcij->gcoab", patches, grouped).reshape(weight.shape)
    return dx, dweight, dy.sum(axis=(0, 2, 3))
