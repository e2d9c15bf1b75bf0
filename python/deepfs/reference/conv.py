"""Twin of convolution."""

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
    seen = windows(pad(x, padding), weight.shape[2:], stride, dilation)
    n, _, oh, ow, kh, kw = seen.shape
    seen = seen.reshape(n, groups, weight.shape[1], oh, ow, kh, kw)
    filters = weight.reshape(groups, -1, *weight.shape[1:])
    y = np.einsum("ngcijab,gocab->ngoij", seen, filters)
    return y.reshape(n, len(weight), oh, ow) + bias[:, None, None]
