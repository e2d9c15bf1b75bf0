"""`SoftmaxWithLoss`."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..._arrays import Array
from .._settings import count_step
from .functions import cross_entropy_error, labels_of, one_hot, softmax


class SoftmaxWithLoss:
    """Softmax and the mean of -log(y + 1e-7) at the right classes.

    ``t`` has labels, of any shape with one entry for each row, or one-hot rows. ``y`` is the
    softmax, ``loss`` the result.
    """

    def __init__(self) -> None:
        self.loss: Any = None
        self.y: Any = None
        self.t: Any = None

    def forward(self, x: Array, t: Any) -> Any:
        self.t = t = np.asarray(t)
        self.y = softmax(x)
        self.loss = cross_entropy_error(self.y, t)
        return self.loss

    def backward(self, dout: Any = 1) -> Array:
        """Return (y - t) / rows, times ``dout``."""
        count_step(self.loss)
        y = self.y if self.y.ndim > 1 else self.y.reshape(1, -1)
        t, rows = self.t if self.y.ndim > 1 else self.t.reshape(1, -1), len(y)
        if one_hot(y, t):
            dx = np.subtract(y, t.reshape(y.shape), dtype=y.dtype, casting="unsafe")
        else:
            dx = y.copy()
            dx[np.arange(rows), labels_of(y, t, "SoftmaxWithLoss")] -= 1
        dx /= rows
        if not (isinstance(dout, int) and dout == 1):
            dx *= dout
        return dx.reshape(self.y.shape)
