"""`Relu`, `Sigmoid` and `Dropout`. Kernel: ``src/cnn_core/activation.pyx``."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnn_core import activation

from ..._arrays import Array, empty, logical, physical
from .functions import sigmoid

FLOATS = frozenset("fd")


class _Activation:
    """Runs the kernel of a function, forward and backward."""

    kind: int

    def _run(self, x: Array) -> tuple[Array, Array]:
        """Return the input and the output, both in the order in which they lie in memory."""
        x = physical(x)
        y = empty(x.shape, x.dtype)
        activation.forward(self.kind, x.reshape(-1), y.reshape(-1))
        return x, y

    def _back(self, kept: Array, dout: Array) -> Array:
        """Return dx, of the input or output that the kernel asks for."""
        dy = physical(dout if dout.dtype == kept.dtype else dout.astype(kept.dtype))
        dx = empty(kept.shape, kept.dtype)
        activation.backward(self.kind, kept.reshape(-1), dy.reshape(-1), dx.reshape(-1))
        return logical(dx)


class Relu(_Activation):
    """``x`` where it is above 0, else 0. ``backward`` leaves ``dout`` as it is."""

    kind = activation.relu

    def __init__(self) -> None:
        self._x: Array | None = None

    @property
    def mask(self) -> Array | None:
        """Where the input was not above 0."""
        return None if self._x is None else logical(self._x) <= 0

    def forward(self, x: Array) -> Array:
        if x.dtype.char not in FLOATS:
            self._x = physical(x)
            return np.maximum(x, 0)
        self._x, y = self._run(x)
        return logical(y)

    def backward(self, dout: Array) -> Array:
        x = self._x
        assert x is not None, "Relu must go forward before it goes backward"
        if x.dtype.char not in FLOATS:
            return dout * (logical(x) > 0)
        return self._back(x, dout)


class Sigmoid(_Activation):
    """1 / (1 + exp(-x)); its output is ``out``."""

    kind = activation.sigmoid

    def __init__(self) -> None:
        self.out: Any = None

    def forward(self, x: Array) -> Array:
        self.out = logical(self._run(x)[1]) if x.dtype.char in FLOATS else sigmoid(x)
        return self.out

    def backward(self, dout: Array) -> Array:
        if self.out.dtype.char not in FLOATS:
            return dout * (1.0 - self.out) * self.out
        return self._back(physical(self.out), dout)


class Dropout:
    """Drop each entry with probability ``dropout_ratio`` by ``np.random``; not inverted.

    In evaluation, ``forward(x, train_flg=False)``, all entries are scaled by ``1 - dropout_ratio``,
    and so are gradients after it.
    """

    def __init__(self, dropout_ratio: float = 0.5) -> None:
        self.dropout_ratio = dropout_ratio
        self.mask: Any = None

    def forward(self, x: Array, train_flg: bool = True) -> Array:
        if train_flg:
            self.mask = np.random.rand(*x.shape) > self.dropout_ratio
            return x * self.mask
        self.mask = 1.0 - self.dropout_ratio
        return x * self.mask

    def backward(self, dout: Array) -> Array:
        return dout * self.mask
