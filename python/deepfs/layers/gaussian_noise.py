"""Gaussian noise. Kernel: ``src/cnn_core/random.pyx``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from cnn_core import random

from .._arrays import Array, Shape, copied, empty, ignore_overflow, logical, physical
from .._check import number
from ._random import RandomLayer


@dataclass(eq=False)
class GaussianNoise(RandomLayer):
    r"""Gaussian noise: add normal random numbers of mean 0 in training.

    .. math:: y = x + \sigma\, \xi, \quad \xi \sim N(0, 1), \quad dx = dy

    Parameters
    ----------
    std : float
        Standard deviation :math:`\sigma`, at least 0.

    Raises
    ------
    TypeError, ValueError
        If ``std`` is not a finite number of at least 0.

    Notes
    -----
    Shapes: any, unchanged. Inference changes nothing. Buffers ``key`` and ``calls`` as in
    `Dropout`. The noise is drawn in single precision for both dtypes, so it is the same for both.
    NumPy reference: `deepfs.reference.gaussian_noise`.

    References
    ----------
    Bishop, "Training with noise is equivalent to Tikhonov regularization", 1995;
    ``keras.layers.GaussianNoise``.

    Examples
    --------
    >>> from deepfs.layers import GaussianNoise
    >>> y, cache = GaussianNoise(0.1).forward(np.zeros((100, 100)), training=True)
    >>> round(float(y.std()), 2)
    0.1
    """

    std: float

    changeable = frozenset({"std"})

    def __post_init__(self) -> None:
        self.std = number(self.std, "std", "[0, inf)")

    def _out_shape(self, in_shape: Shape) -> Shape:
        return in_shape

    def _forward(self, x: Array, training: bool) -> tuple[Array, Any]:
        if not training:
            return x, None
        x = physical(x)
        noise = empty(x.shape, np.float32)
        random.normal(noise.reshape(-1), *self._new_draw())
        with ignore_overflow():
            if x.dtype == np.float32:  # in place: new memory costs as much as the sum
                noise *= np.float32(self.std)
                noise += x
                return logical(noise), None
            return logical(x + noise.astype(x.dtype) * self.std), None

    def _backward(self, dy: Array, cache: Any, need_dx: bool) -> Array | None:
        return copied(dy) if need_dx else None
