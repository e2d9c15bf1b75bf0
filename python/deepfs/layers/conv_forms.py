"""Further forms of convolution, each made of `Conv2D`: they have no kernels of their own."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np

from .. import initializers
from .._check import LARGEST, flag, one_of, padding, pair, whole
from ._base import Array, Layer, Parameter, Shape, new_parameter, to_nchw, to_nhwc
from ._window import place_window
from .conv import Conv2D, check_channels


class OfConvolutions(Layer):
    """A layer whose work is done by convolutions of images. They own its parameters."""

    forward_pass = "forward"  # which pass of the convolutions is the forward pass of this layer

    @abstractmethod
    def convolutions(self, in_shape: Shape) -> list[tuple[Conv2D, Shape]]:
        """Return the convolutions of a built layer, each with the shape of its input."""

    def algorithm_for(self, in_shape: Shape) -> str:
        """Return how each of the convolutions is computed; see `Conv2D.algorithm_for`."""
        return " + ".join(
            c.algorithm_for(shape, self.forward_pass) for c, shape in self.convolutions(in_shape)
        )


class _Depthwise(OfConvolutions):
    """What the two layers with depthwise convolutions share: that convolution."""

    input_rank = (4,)
    forward_ends, backward_ends = frozenset({"relu"}), frozenset({"gate"})
    # what __post_init__ makes of the fields that the layers below declare
    kernel_size: Any
    stride: Any
    padding: Any
    dilation: Any
    multiplier: int
    bias: bool
    initializer: str | initializers.Initializer

    def __post_init__(self) -> None:
        self.kernel_size = pair(self.kernel_size, "kernel_size")
        self.stride = pair(self.stride, "stride")
        self.padding = padding(self.padding)
        self.dilation = pair(self.dilation, "dilation")
        self.multiplier = whole(self.multiplier, "multiplier", most=LARGEST)
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
        filters = whole(count, f"the filters of {self.label}", most=LARGEST)
        window = (self.kernel_size, self.stride, self.padding, self.dilation)
        made = Conv2D(filters, *window, filters, bias, self.initializer)
        made.build(self._repeated_shape(in_shape), dtype)
        return made

    def _repeated_shape(self, in_shape: Shape) -> Shape:
        return in_shape[0] * self.multiplier, *in_shape[1:]

    def _repeated(self, x: Array) -> Array:
        """Return images with each channel as often as it has filters.

        The copies cost less than they save: filters that share a channel make a product of a
        group, filters with a channel each are computed by ``cnn_core.conv_depthwise``.
        """
        return x if self.multiplier == 1 else to_nchw(np.repeat(to_nhwc(x), self.multiplier, 3))

    def _summed(self, dx: Array | None) -> Array | None:
        """Return the gradient of a channel: the sum of those of its copies."""
        if dx is None or self.multiplier == 1:
            return dx
        copies = [dx[:, k :: self.multiplier] for k in range(self.multiplier)]
        return reduce(np.add, copies)


@dataclass(eq=False)
class DepthwiseConv2D(_Depthwise):
    r"""Give each channel of an image filters of its own.

    .. math::
        y_{c m + l,i,j} = b_{c m + l} + \sum_{a,b} w_{c m + l,0,a,b} \,
                          x_{c,\; i s_h + a d_h - p_{top},\; j s_w + b d_w - p_{left}}

    It is `Conv2D` with as many groups as channels. So there are no ``filters`` and no ``groups``
    to set: the number of channels and ``multiplier``, Keras's depth_multiplier, give both.

    Parameters
    ----------
    kernel_size : int or (int, int)
        Height and width of the window, in entries.
    stride : int or (int, int)
        Step from window to window, in pixels.
    padding : int, (int, int), (top, bottom, left, right), "same" or "valid"
        Zeros around the image, in pixels, as of `Conv2D`.
    dilation : int or (int, int)
        Step from entry to entry of the window, in pixels.
    multiplier : int
        Filters of each channel, m in the formula.
    bias : bool
        Add a number per filter.
    initializer : str or function
        Of the weight; the bias starts at 0.

    Raises
    ------
    ValueError
        If a setting is out of range, or, on call, if the window exceeds the image, or the
        channels do not fit the weight.

    Notes
    -----
    Shapes: ``(n, c, h, w)`` to ``(n, c * multiplier, oh, ow)``, oh as of `Conv2D`.
    ``weight`` is ``(c * multiplier, 1, kh, kw)``, ``bias`` ``(c * multiplier,)``.
    Twin: `deepfs.reference.depthwise_conv2d`.

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

    def convolutions(self, in_shape: Shape) -> list[tuple[Conv2D, Shape]]:
        return [(self._conv, self._repeated_shape(in_shape))]

    def _forward(self, x: Array, training: bool, relu: bool = False) -> tuple[Array, Any]:
        self.check_shape(x)
        return self._conv._forward(self._repeated(x), training, relu)

    def _infer(self, x: Array, relu: bool = False) -> Array:
        return self._forward(x, False, relu)[0]

    def _backward(self, dy: Array, cache: Any, need_dx: bool, gate: bool = False) -> Array | None:
        return self._summed(self._conv._backward(dy, cache, need_dx, gate))


@dataclass(eq=False)
class SeparableConv2D(_Depthwise):
    r"""Convolve each channel by itself, then mix the channels of each pixel.

    .. math:: y = \mathrm{pointwise}(\mathrm{depthwise}(x)), \quad
              y_{o,i,j} = b_o + \sum_{c} v_{o,c} \sum_{a,b} w_{c,0,a,b} \,
              x_{c,\; i s_h + a d_h - p_{top},\; j s_w + b d_w - p_{left}}

    A `DepthwiseConv2D` without bias and a `Conv2D` of 1x1: a convolution of
    kh kw + filters products per channel and pixel instead of kh kw filters.

    Parameters
    ----------
    filters : int
        Channels of the output.
    kernel_size : int or (int, int)
        Height and width of the window, in entries.
    stride : int or (int, int)
        Step from window to window, in pixels.
    padding : int, (int, int), (top, bottom, left, right), "same" or "valid"
        Zeros around the image, in pixels, as of `Conv2D`.
    dilation : int or (int, int)
        Step from entry to entry of the window, in pixels.
    multiplier : int
        Filters of each channel in the first convolution; groups would undo the mixing.
    bias : bool
        Add a number per filter, in the end.
    initializer : str or function
        Of both weights; the bias starts at 0.

    Raises
    ------
    ValueError
        If a setting is out of range, or, on call, if the window exceeds the image, or the
        channels do not fit the weight.

    Notes
    -----
    Shapes: ``(n, c, h, w)`` to ``(n, filters, oh, ow)``, oh as of `Conv2D`.
    ``depthwise_weight`` is ``(c * multiplier, 1, kh, kw)``, ``pointwise_weight``
    ``(filters, c * multiplier, 1, 1)``, ``bias`` ``(filters,)``.
    Twin: `deepfs.reference.separable_conv2d`.

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
        self.filters = whole(self.filters, "filters", most=LARGEST)
        super().__post_init__()

    def _out_shape(self, in_shape: Shape) -> Shape:
        return self.filters, *self._depthwise_shape(in_shape)[1:]

    def _build(self, in_shape: Shape, dtype: np.dtype[Any]) -> None:
        self._first = self._depthwise(in_shape, dtype, False)
        self._second = Conv2D(self.filters, 1, bias=self.bias, initializer=self.initializer)
        self._second.build(self._depthwise_shape(in_shape), dtype)
        self.learned["depthwise_weight"] = self._first.learned["weight"]
        self.learned["pointwise_weight"] = self._second.learned["weight"]
        if self.bias:
            self.learned["bias"] = self._second.learned["bias"]

    def convolutions(self, in_shape: Shape) -> list[tuple[Conv2D, Shape]]:
        between = self._depthwise_shape(in_shape)
        return [(self._first, self._repeated_shape(in_shape)), (self._second, between)]

    def _forward(self, x: Array, training: bool, relu: bool = False) -> tuple[Array, Any]:
        self.check_shape(x)
        between, first = self._first._forward(self._repeated(x), training)
        y, second = self._second._forward(between, training, relu)
        return y, (first, second)

    def _infer(self, x: Array, relu: bool = False) -> Array:
        self.check_shape(x)
        return self._second._infer(self._first._infer(self._repeated(x)), relu)

    def _backward(self, dy: Array, cache: Any, need_dx: bool, gate: bool = False) -> Array | None:
        first, second = cache
        between: Any = self._second._backward(dy, second, True)
        return self._summed(self._first._backward(between, first, need_dx, gate))


class _Row(Parameter):
    """The weight of windows of height 1, seen without the axis of the height."""

    def seen(self, memory: Array) -> Array:
        return super().seen(memory)[:, :, 0]


@dataclass(eq=False)
class Conv1D(OfConvolutions):
    r"""Slide a bank of filters along a sequence: text, sound, measurements.

    .. math:: y_{o,i} = b_o + \sum_{c,a} w_{o,c,a} \, x_{c,\; i s + a d - p_{left}}

    The sequence is taken as an image of height 1: the kernels are those of `Conv2D`.

    Parameters
    ----------
    filters : int
        Channels of the output.
    kernel_size : int
        Width of the window, in entries.
    stride : int
        Step from window to window.
    padding : int, (left, right), "same" or "valid"
        Zeros at both ends. "same" keeps ceil(length / stride); the odd one goes to the right.
    dilation : int
        Step from entry to entry of the window.
    groups : int
        Parts into which channels and filters are cut; filters see the channels of their part.
    bias : bool
        Add a number per filter.
    initializer : str or function
        Of the weight; the bias starts at 0.
    algorithm : {"auto", "direct"}
        The same here: Winograd's algorithm needs windows of 3x3.

    Raises
    ------
    ValueError
        If a setting is out of range, or, on call, if the window exceeds the sequence, or the
        channels do not fit the weight or the groups.

    Notes
    -----
    Shapes: ``(n, c, length)`` to ``(n, filters, places)``,
    places = floor((length + left + right - d (k - 1) - 1) / s) + 1.
    ``weight`` is ``(filters, c / groups, k)``, ``bias`` ``(filters,)``.
    Twin: `deepfs.reference.conv1d`.

    References
    ----------
    Waibel et al., "Phoneme recognition using time-delay neural networks", 1989.
    ``torch.nn.Conv1d``.

    Examples
    --------
    >>> from deepfs.layers import Conv1D
    >>> difference = Conv1D(1, 2, initializer=lambda shape, rng: np.array([[[-1.0, 1.0]]]))
    >>> difference(np.array([[[1.0, 2, 4, 8]]]))
    array([[[1., 2., 4.]]])
    """

    filters: int
    kernel_size: int
    stride: int = 1
    padding: str | int | tuple[int, int] = 0
    dilation: int = 1
    groups: int = 1
    bias: bool = True
    initializer: str | initializers.Initializer = "he_normal"
    algorithm: str = "auto"

    input_rank = (3,)
    forward_ends, backward_ends = frozenset({"relu"}), frozenset({"gate"})

    def __post_init__(self) -> None:
        self.filters = whole(self.filters, "filters", most=LARGEST)
        self.kernel_size = whole(self.kernel_size, "kernel_size", most=LARGEST)
        self.stride = whole(self.stride, "stride", most=LARGEST)
        if isinstance(self.padding, str):
            one_of(self.padding, "padding", ("same", "valid"))
        else:
            self.padding = pair(self.padding, "padding", 0)
        self.dilation = whole(self.dilation, "dilation", most=LARGEST)
        self.groups = whole(self.groups, "groups")
        self.bias = flag(self.bias, "bias")
        initializers.get(self.initializer)
        one_of(self.algorithm, "algorithm", ("auto", "direct"))

    def _window(self) -> tuple[Any, Any, Any, Any]:
        """Return the window on an image of height 1: size, stride, padding, dilation."""
        given: Any = self.padding
        sides = given if isinstance(given, str) else (0, 0, *given)
        return (1, self.kernel_size), (1, self.stride), sides, (1, self.dilation)

    def _out_shape(self, in_shape: Shape) -> Shape:
        check_channels(self, in_shape, self.filters, self.groups)
        return self.filters, place_window(self.label, (1, in_shape[1]), *self._window()).ow

    def _build(self, in_shape: Shape, dtype: np.dtype[Any]) -> None:
        c, length = in_shape
        self._conv = Conv2D(self.filters, *self._window(), self.groups, self.bias, "zeros")
        self._conv.build((c, 1, length), dtype)
        shape = (self.filters, c // self.groups, self.kernel_size)
        weight = new_parameter(initializers.get(self.initializer), shape, dtype)
        axes = self._conv.learned["weight"].axes
        self._conv.learned["weight"] = _Row(weight.value[:, :, None], axes)
        self.learned = self._conv.learned

    def convolutions(self, in_shape: Shape) -> list[tuple[Conv2D, Shape]]:
        return [(self._conv, (in_shape[0], 1, in_shape[1]))]

    def _forward(self, x: Array, training: bool, relu: bool = False) -> tuple[Array, Any]:
        self.check_shape(x)
        y, cache = self._conv._forward(x[:, :, None], training, relu)
        return y[:, :, 0], cache

    def _infer(self, x: Array, relu: bool = False) -> Array:
        return self._forward(x, False, relu)[0]

    def _backward(self, dy: Array, cache: Any, need_dx: bool, gate: bool = False) -> Array | None:
        dx = self._conv._backward(dy[:, :, None], cache, need_dx, gate)
        return None if dx is None else dx[:, :, 0]
