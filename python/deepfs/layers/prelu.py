"""The rectifier that learns. Kernels: ``src/cnn_core/activation.pyx``, ``reduce.pyx``."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from cnn_core import activation, reduce

from .._arrays import Array, Shape, channels_first, channels_last, empty
from .._check import flag
from ._base import Layer


@dataclass(eq=False)
class PReLU(Layer):
    r"""Parametric rectified linear unit (PReLU): learned slopes for negative numbers.

    .. math::
        y = x \text{ where } x > 0, \text{ else } s_c x, \quad
        dx = dy \text{ where } x > 0, \text{ else } s_c\, dy, \quad
        ds_c = \sum_{x \le 0} x\, dy

    Parameters
    ----------
    per_channel : bool
        Learn a slope :math:`s_c` for each channel of images and each feature of rows; otherwise one
        slope for all.

    Raises
    ------
    TypeError
        If ``per_channel`` is not True or False.
    ValueError
        On call, if the channels are not those of the first input.

    Notes
    -----
    Shapes: ``(n, c, ...)``, unchanged; any shape with one slope. Parameter ``slope`` (c,) or (1,),
    initially 0.25. The derivative at 0 is the slope, as in PyTorch; NaN stays NaN.
    NumPy reference: `deepfs.reference.prelu`.

    References
    ----------
    He, Zhang, Ren and Sun, "Delving deep into rectifiers", 2015, arXiv:1502.01852.

    Examples
    --------
    >>> from deepfs.layers import PReLU
    >>> PReLU()(np.array([[-1.0, 2.0]]))
    array([[-0.25,  2.  ]])
    """

    per_channel: bool = True

    def __post_init__(self) -> None:
        self.per_channel = flag(self.per_channel, "per_channel")

    def _out_shape(self, in_shape: Shape) -> Shape:
        if self.per_channel:
            if not in_shape:
                raise ValueError(f"{self.label} needs an axis of channels, got shape {in_shape}")
            takes = self.in_shape[0] if self.in_shape else in_shape[0]
            if in_shape[0] != takes or takes < 1:
                raise ValueError(
                    f"{self.label} takes {max(takes, 1)} channels, got shape {in_shape}"
                )
        return in_shape

    def _build(self, in_shape: Shape, dtype: np.dtype[Any]) -> None:
        slopes = in_shape[0] if self.per_channel else 1
        self.add_parameter("slope", (slopes,), dtype, 0.25)

    def _forward(self, x: Array, training: bool) -> tuple[Array, Any]:
        self.check_shape(x)
        x = channels_last(x)
        y, slope = empty(x.shape, x.dtype), self.learned["slope"].storage
        activation.forward(activation.leaky_relu, x.reshape(-1), y.reshape(-1), slope)
        return channels_first(y), x

    def _backward(self, dy: Array, cache: Any, need_dx: bool) -> Array | None:
        x, dy, slope = cache.reshape(-1), channels_last(dy).reshape(-1), self.learned["slope"]
        if self._learns():
            shares = empty(x.shape, x.dtype)  # of each number in the gradient of its slope
            activation.backward(activation.slope, x, dy, shares)
            sums = np.zeros(cache.shape[-1], x.dtype)
            reduce.add_column_sums(shares.reshape(prod(cache.shape[:-1]), cache.shape[-1]), sums)
            slope.dstorage += sums if self.per_channel else sums.sum(dtype=np.float64)
        if not need_dx:
            return None
        dx = empty(cache.shape, cache.dtype)
        activation.backward(activation.leaky_relu, x, dy, dx.reshape(-1), slope.storage)
        return channels_first(dx)
