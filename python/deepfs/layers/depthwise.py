"""Depthwise 2D convolution, by the kernels of `Conv2D`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np

from .. import initializers
from .._arrays import Array, Shape, channels_first, channels_last
from .._check import MAX_EXTENT, flag, whole
from ._base import Layer
from ._fusion import PLAIN, Epilogue
from ._window import checked_window, place_window
from .conv import Conv2D, check_channels


class DepthwiseStage(Layer):
    """Base of layers with a depthwise convolution: this one and the separable one."""

    input_rank = (4,)
    fuses_forward, fuses_backward = frozenset({"relu"}), frozenset({"drelu"})
    # types of the fields of these layers, once __post_init__ has run
    kernel_size: Any
    stride: Any
    padding: Any
    dilation: Any
    multiplier: int
    bias: bool
    initializer: str | initializers.Initializer

    def __post_init__(self) -> None:
        self.kernel_size, self.stride, self.padding, self.dilation = checked_window(
            self.kernel_size, self.stride, self.padding, self.dilation
        )
        self.multiplier = whole(self.multiplier, "multiplier", most=MAX_EXTENT)
        self.bias = flag(self.bias, "bias")
        initializers.get(self.initializer)

    def _depthwise_shape(self, in_shape: Shape) -> Shape:
        """Return the output shape of the depthwise convolution."""
        c, h, w = in_shape
        check_channels(self, in_shape, c * self.multiplier, c)
        window = (self.kernel_size, self.stride, self.padding, self.dilation)
        return c * self.multiplier, *place_window(self.label, (h, w), *window)[:2]

    def _depthwise(self, in_shape: Shape, dtype: np.dtype[Any], bias: bool) -> Conv2D:
        """Return the depthwise convolution, built, with a channel for each filter."""
        count = in_shape[0] * self.multiplier
        filters = whole(count, f"the filters of {self.label}", most=MAX_EXTENT)
        window = (self.kernel_size, self.stride, self.padding, self.dilation)
        made = Conv2D(filters, *window, filters, bias, self.initializer)
        made.build(self._repeated_shape(in_shape), dtype, self._budget)
        return made

    def _repeated_shape(self, in_shape: Shape) -> Shape:
        return in_shape[0] * self.multiplier, *in_shape[1:]

    def _repeated(self, x: Array) -> Array:
        """Return images with each channel copied once for each of its filters.

        The copies cost less than they save: filters that share a channel would be a matrix product
        of a group, filters with a channel each are computed by ``cnn_core.conv_depthwise``.
        """
        return (
            x
            if self.multiplier == 1
            else channels_first(np.repeat(channels_last(x), self.multiplier, 3))
        )

    def _summed(self, dx: Array | None) -> Array | None:
        """Return the gradient of each channel: the sum of the gradients of its copies."""
        if dx is None or self.multiplier == 1:
            return dx
        copies = [dx[:, k :: self.multiplier] for k in range(self.multiplier)]
        return reduce(np.add, copies)


@dataclass(eq=False)
class DepthwiseConv2D(DepthwiseStage):
    r"""Depthwise 2D convolution: each channel of an image has filters of its own.

    .. math::
        y_{c m + l,i,j} = b_{c m + l} + \sum_{a,b} w_{c m + l,0,a,b} \,
                          x_{c,\; i s_h + a d_h - p_{top},\; j s_w + b d_w - p_{left}}

    It is `Conv2D` with as many groups as channels. The number of channels and ``multiplier``
    (Keras's depth_multiplier) determine ``filters`` and ``groups``.

    Parameters
    ----------
    kernel_size : int or (int, int)
        Height and width of the window, in entries.
    stride : int or (int, int)
        Step from window to window, in pixels.
    padding : int, (int, int), (top, bottom, left, right), "same" or "valid"
        Zeros around the image, in pixels, as in `Conv2D`.
    dilation : int or (int, int)
        Step from entry to entry of the window, in pixels.
    multiplier : int
        Number of filters of each channel, m in the formula.
    bias : bool
        Add a learned number per filter.
    initializer : str or function
        Initial values of the weight, see `deepfs.initializers`; the bias starts at 0.

    Raises
    ------
    TypeError, ValueError
        If a setting is of the wrong kind or out of range; ValueError on call, if the window exceeds
        the image, or the number of channels does not fit the weight.

    Notes
    -----
    Shapes: ``(n, c, h, w)`` to ``(n, c * multiplier, oh, ow)``, oh as in `Conv2D`.
    ``weight`` is ``(c * multiplier, 1, kh, kw)``, ``bias`` ``(c * multiplier,)``.
    NumPy reference: `deepfs.reference.depthwise_conv2d`.

    References
    ----------
    Howard et al., "MobileNets: efficient convolutional neural networks for mobile vision
    applications", 2017, arXiv:1704.04861. ``keras.layers.DepthwiseConv2D``.

    Examples
    --------
    >>> from deepfs.layers import DepthwiseConv2D
    >>> DepthwiseConv2D(3, padding="same", multiplier=2)(np.zeros((2, 5, 8, 8))).shape
    (2, 10, 8, 8)
    """

    kernel_size: int | tuple[int, int]
    stride: int | tuple[int, int] = 1
    padding: str | int | tuple[int, int] | tuple[int, int, int, int] = 0
    dilation: int | tuple[int, int] = 1
    multiplier: int = 1
    bias: bool = True
    initializer: str | initializers.Initializer = "he_normal"

    def _out_shape(self, in_shape: Shape) -> Shape:
        return self._depthwise_shape(in_shape)

    def _build(self, in_shape: Shape, dtype: np.dtype[Any]) -> None:
        self._conv = self._depthwise(in_shape, dtype, self.bias)
        self.learned = self._conv.learned

    def algorithm_for(self, in_shape: Shape, pass_name: str = "forward") -> str:
        return self._conv.algorithm_for(self._repeated_shape(in_shape), pass_name)

    def multiply_adds(self, in_shape: Shape) -> int:
        return self._conv.multiply_adds(self._repeated_shape(in_shape))

    def _forward(self, x: Array, training: bool, end: Epilogue = PLAIN) -> tuple[Array, Any]:
        self.check_shape(x)
        return self._conv._forward(self._repeated(x), training, end)

    def _infer(self, x: Array, end: Epilogue = PLAIN) -> Array:
        self.check_shape(x)
        return self._conv._forward(self._repeated(x), False, end)[0]

    def _backward(
        self, dy: Array, cache: Any, need_dx: bool, end: Epilogue = PLAIN
    ) -> Array | None:
        return self._summed(self._conv._backward(dy, cache, need_dx, end))
