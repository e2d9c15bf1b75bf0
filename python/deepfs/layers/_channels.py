"""Arrays of any rank as kernels over channels want them: channels are the last axis in memory."""

from __future__ import annotations

import numpy as np

from ._base import Array


def channels_last(x: Array) -> Array:
    """Return ``x`` of any rank C-contiguous, its second axis moved behind all others."""
    return np.ascontiguousarray(np.moveaxis(x, 1, -1) if x.ndim > 1 else x)


def channels_first(x: Array) -> Array:
    """Return a view of the result of a kernel that ran over `channels_last`, as people read it."""
    return np.moveaxis(x, -1, 1) if x.ndim > 1 else x
