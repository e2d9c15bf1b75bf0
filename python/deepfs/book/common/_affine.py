"""`Affine`. Kernel: ``src/cnn_core/dense.pyx``."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnn_core import dense

from ..._arrays import Array, empty, flat_rows
from .._settings import cast, dtype_for


class Affine:
    """x W + b, where ``W`` is (inputs, outputs); images are flattened.

    ``W`` and ``b`` are the caller's arrays and are read on each call. After ``backward``, ``dW``
    and ``db`` are their gradients.
    """

    def __init__(self, W: Array, b: Any) -> None:
        self.W, self.b = W, b
        self.x: Any = None
        self.original_x_shape: Any = None
        self.dW: Any = None
        self.db: Any = None

    def forward(self, x: Array) -> Array:
        W, b = self.W, self.b
        dtype = dtype_for(x, W, b)
        self.original_x_shape = x.shape
        self.x = rows = flat_rows(cast(x, dtype))
        if rows.shape[1] != len(W):
            raise ValueError(
                f"Affine with W of shape {W.shape} takes {len(W)} numbers of each sample, "
                f"got x of shape {x.shape}"
            )
        y = empty((len(rows), W.shape[1]), dtype)
        plain = isinstance(b, np.ndarray) and b.shape == W.shape[1:]
        bias = np.ascontiguousarray(b, dtype) if plain else None
        dense.dense_forward(rows, np.ascontiguousarray(W, dtype), bias, y)
        if not plain:
            y += b
        return y

    def backward(self, dout: Array) -> Array:
        x, W = self.x, self.W
        dtype = x.dtype
        self.dW = zeros(W.shape, dtype)
        self.db = np.zeros(W.shape[1], dtype)
        dx = empty(x.shape, dtype)
        dense.dense_backward(
            x, np.ascontiguousarray(dout, dtype), np.ascontiguousarray(W, dtype),
            self.dW, self.db, dx,
        )  # fmt: skip
        return dx.reshape(self.original_x_shape)


def zeros(shape: tuple[int, ...], dtype: Any) -> Array:
    """Return zeros in memory of earlier arrays, if they are many."""
    made = empty(shape, dtype)
    made.fill(0)
    return made
