"""`BatchNormalization`. Kernel: ``src/cnn_core/batch_norm.pyx``."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnn_core import batch_norm

from ..._arrays import Array, channels_first, channels_last, empty, flat_rows, ignore_overflow
from .._settings import cast, dtype_for

EPS = 10e-7  # as the book writes it: 1e-6


class BatchNormalization:
    """gamma (x - mean) / sqrt(variance + 1e-6) + beta, over the samples of a batch.

    ``forward(x, train_flg=False)`` takes ``running_mean`` and ``running_var``, which start at 0 and
    follow the batches by ``momentum``. Images have statistics of each pixel, as in the book, if
    ``gamma`` has an entry for each pixel; if it has one for each channel, of each channel.
    """

    def __init__(
        self,
        gamma: Any,
        beta: Any,
        momentum: float = 0.9,
        running_mean: Array | None = None,
        running_var: Array | None = None,
    ) -> None:
        self.gamma, self.beta, self.momentum = gamma, beta, momentum
        self.running_mean: Any = running_mean
        self.running_var: Any = running_var
        self.input_shape: Any = None
        self.batch_size: int | None = None
        self.dgamma: Any = None
        self.dbeta: Any = None
        self._cache: Any = None

    def forward(self, x: Array, train_flg: bool = True) -> Array:
        dtype = dtype_for(x, self.gamma, self.beta)
        self.input_shape = x.shape
        by_channel = x.ndim == 4 and np.size(self.gamma) == x.shape[1] > 1
        x = cast(x, dtype)
        rows = channels_last(x).reshape(-1, x.shape[1]) if by_channel else flat_rows(x)
        d = rows.shape[1]
        gamma, beta = self._vector(self.gamma, d, dtype), self._vector(self.beta, d, dtype)
        if self.running_mean is None:
            self.running_mean, self.running_var = np.zeros(d, dtype), np.zeros(d, dtype)
        mean, inv_std = np.empty(d, dtype), np.empty(d, dtype)
        if train_flg:
            self.batch_size = len(x)
            # new arrays, as in the book: those that the caller gave keep their numbers
            self.running_mean = np.array(self.running_mean, dtype)
            self.running_var = np.array(self.running_var, dtype)
            batch_norm.batch_moments(
                rows, mean, inv_std, self.running_mean, self.running_var, self.momentum, False, EPS
            )
        else:
            mean[:] = self.running_mean
            with ignore_overflow():
                inv_std[:] = 1 / np.sqrt(self.running_var + EPS)
        y = empty(rows.shape, dtype)
        batch_norm.batch_norm_forward(rows, mean, inv_std, gamma, beta, y)
        self._cache = rows, mean, inv_std, train_flg, by_channel
        return self._images(y, by_channel)

    def backward(self, dout: Array) -> Array:
        rows, mean, inv_std, train, by_channel = self._cache
        dout, d = cast(dout, rows.dtype), rows.shape[1]
        drows = channels_last(dout).reshape(-1, d) if by_channel else flat_rows(dout)
        dx = empty(rows.shape, rows.dtype)
        self.dgamma, self.dbeta = np.zeros(d, rows.dtype), np.zeros(d, rows.dtype)
        gamma = self._vector(self.gamma, d, rows.dtype)
        batch_norm.batch_norm_backward(
            rows, drows, mean, inv_std, gamma, dx, self.dgamma, self.dbeta, bool(train)
        )
        return self._images(dx, by_channel)

    def _images(self, rows: Array, by_channel: bool) -> Array:
        """Return rows in the shape of the input."""
        if not by_channel:
            return rows.reshape(self.input_shape)
        n, c, h, w = self.input_shape
        return channels_first(rows.reshape(n, h, w, c))

    @staticmethod
    def _vector(values: Any, d: int, dtype: np.dtype[Any]) -> Array:
        if np.size(values) not in (1, d):
            raise ValueError(
                f"BatchNormalization takes gamma and beta with an entry for each of {d} features, "
                f"got shape {np.shape(values)}"
            )
        if np.shape(values) == (d,):
            return np.ascontiguousarray(values, dtype)
        return np.full(d, np.reshape(values, -1), dtype)

    @property
    def xc(self) -> Any:
        """The last input minus the mean, as rows."""
        return None if self._cache is None else self._cache[0] - self._cache[1]

    @property
    def xn(self) -> Any:
        """The same, divided by the standard deviation."""
        return None if self._cache is None else self.xc * self._cache[2]

    @property
    def std(self) -> Any:
        """The standard deviation of each feature."""
        return None if self._cache is None else 1 / self._cache[2]
