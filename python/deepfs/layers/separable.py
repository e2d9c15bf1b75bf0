"""Depthwise separable 2D convolution, by the kernels of `Conv2D`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import initializers
from .._arrays import Array, Shape
from .._check import MAX_EXTENT, whole
from ._fusion import PLAIN, Epilogue
from .conv import Conv2D
from .depthwise import DepthwiseStage


@dataclass(eq=False)
class SeparableConv2D(DepthwiseStage):
    r"""Depthwise separable 2D convolution: a depthwise convolution, then one of 1x1.

    .. math:: y = \mathrm{pointwise}(\mathrm{depthwise}(x)), \quad
              y_{o,i,j} = b_o + \sum_{c} v_{o,c} \sum_{a,b} w_{c,0,a,b} \,
              x_{c,\; i s_h + a d_h - p_{top},\; j s_w + b d_w - p_{left}}

    It is a `DepthwiseConv2D` without bias followed by a `Conv2D` of 1x1. It takes kh kw + filters
    products per channel and pixel, where `Conv2D` takes kh kw filters.

    Parameters
    ----------
    filters : int
        Number of channels of the output.
    kernel_size : int or (int, int)
        Height and width of the window, in entries.
    stride : int or (int, int)
        Step from window to window, in pixels.
    padding : int, (int, int), (top, bottom, left, right), "same" or "valid"
        Zeros around the image, in pixels, as in `Conv2D`.
    dilation : int or (int, int)
        Step from entry to entry of the window, in pixels.
    multiplier : int
        Number of filters of each channel in the depthwise convolution.
    bias : bool
        Add a learned number per filter of the 1x1 convolution.
    initializer : str or function
        Initial values of both weights, see `deepfs.initializers`; the bias starts at 0.

    Raises
    ------
    TypeError, ValueError
        If a setting is of the wrong kind or out of range; ValueError on call, if the window exceeds
        the image, or the number of channels does not fit the weight.

    Notes
    -----
    Shapes: ``(n, c, h, w)`` to ``(n, filters, oh, ow)``, oh as in `Conv2D`.
    ``depthwise_weight`` is ``(c * multiplier, 1, kh, kw)``, ``pointwise_weight``
    ``(filters, c * multiplier, 1, 1)``, ``bias`` ``(filters,)``.
    NumPy reference: `deepfs.reference.separable_conv2d`.

    References
    ----------
    Chollet, "Xception: deep learning with depthwise separable convolutions", 2016,
    arXiv:1610.02357. ``keras.layers.SeparableConv2D``.

    Examples
    --------
    >>> from deepfs.layers import SeparableConv2D
    >>> layer = SeparableConv2D(16, 3, padding="same")
    >>> layer(np.zeros((2, 5, 8, 8))).shape
    (2, 16, 8, 8)
    >>> list(layer.parameters())
    ['depthwise_weight', 'pointwise_weight', 'bias']
    """

    filters: int
    kernel_size: int | tuple[int, int]
    stride: int | tuple[int, int] = 1
    padding: str | int | tuple[int, int] | tuple[int, int, int, int] = 0
    dilation: int | tuple[int, int] = 1
    multiplier: int = 1
    bias: bool = True
    initializer: str | initializers.Initializer = "he_normal"

    def __post_init__(self) -> None:
        self.filters = whole(self.filters, "filters", most=MAX_EXTENT)
        super().__post_init__()

    def _out_shape(self, in_shape: Shape) -> Shape:
        return self.filters, *self._depthwise_shape(in_shape)[1:]

    def _build(self, in_shape: Shape, dtype: np.dtype[Any]) -> None:
        self._first = self._depthwise(in_shape, dtype, False)
        self._second = Conv2D(self.filters, 1, bias=self.bias, initializer=self.initializer)
        self._second.build(self._depthwise_shape(in_shape), dtype, self._budget)
        self.learned["depthwise_weight"] = self._first.learned["weight"]
        self.learned["pointwise_weight"] = self._second.learned["weight"]
        if self.bias:
            self.learned["bias"] = self._second.learned["bias"]

    def algorithm_for(self, in_shape: Shape, pass_name: str = "forward") -> str:
        first = self._first.algorithm_for(self._repeated_shape(in_shape), pass_name)
        second = self._second.algorithm_for(self._depthwise_shape(in_shape), pass_name)
        return f"{first} + {second}"

    def multiply_adds(self, in_shape: Shape) -> int:
        first = self._first.multiply_adds(self._repeated_shape(in_shape))
        return first + self._second.multiply_adds(self._depthwise_shape(in_shape))

    def _forward(self, x: Array, training: bool, end: Epilogue = PLAIN) -> tuple[Array, Any]:
        self.check_shape(x)
        between, first = self._first._forward(self._repeated(x), training)
        y, second = self._second._forward(between, training, end)
        return y, (first, second)

    def _infer(self, x: Array, end: Epilogue = PLAIN) -> Array:
        self.check_shape(x)
        between = self._first._forward(self._repeated(x), False)[0]
        return self._second._forward(between, False, end)[0]

    def _backward(
        self, dy: Array, cache: Any, need_dx: bool, end: Epilogue = PLAIN
    ) -> Array | None:
        first, second = cache
        between: Any = self._second._backward(dy, second, True)
        return self._summed(self._first._backward(between, first, need_dx, end))
