"""NumPy reference of `deepfs.layers.Branches`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ._types import Array


def branches(x: Array, parts: Sequence[Callable[[Array], Array]], merge: str = "concat") -> Array:
    """Return the outputs of all parts for the same x, joined along the channels or added."""
    outputs = [part(x) for part in parts]
    return np.concatenate(outputs, axis=1) if merge == "concat" else sum(outputs[1:], outputs[0])


def branches_backward(
    dy: Array,
    parts: Sequence[Callable[[Array], Array]],
    channels: Sequence[int],
    merge: str = "concat",
) -> Array:
    """Return dx: the sum of the gradients of the parts, each for its channels of dy or for all."""
    ends = np.cumsum(channels)[:-1]
    shares = np.split(dy, ends, axis=1) if merge == "concat" else [dy] * len(parts)
    gradients = [part(share) for part, share in zip(parts, shares, strict=True)]
    return sum(gradients[1:], gradients[0])
