"""Pooling layers. Kernels: ``src/cnn_core/pool.pyx``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from cnn_core import pool

from .._check import flag, padding, pair
from ._base import Array, Layer, Shape, empty, to_nchw, to_nhwc
from ._window import Placement, place_window

SHARED = (0, 0, 0, 0)  # windows and steps that the kernel makes from the sizes


class _Pool(Layer):
    """What max and average pooling share: the window."""

    input_rank = (4,)
    # what __post_init__ makes of the fields that the layers below declare
    kernel_size: Any
    stride: Any
    padding: Any
    ceil_mode: bool

    def __post_init__(self) -> None:
        self.kernel_size = pair(self.kernel_size, "kernel_size")
        self.stride = self.kernel_size if self.stride is None else pair(self.stride, "stride")
        self.padding = padding(self.padding)
        self.ceil_mode = flag(self.ceil_mode, "ceil_mode")
        if not isinstance(self.padding, str):
            kh, kw = self.kernel_size
            top, bottom, left, right = self.padding
            if max(top, bottom) > kh // 2 or max(left, right) > kw // 2:
                raise ValueError(
                    f"{self.label} padding must be at most half the window {kh}x{kw}, "
                    f"got {self.padding}"
                )

    def _out_shape(self, in_shape: Shape) -> Shape:
        c, h, w = in_shape
        return c, *self._place(h, w)[:2]

    def _place(self, h: int, w: int) -> Placement:
        return place_window(
            self.label, (h, w), self.kernel_size, self.stride, self.padding,
            ceil_mode=self.ceil_mode,
        )  # fmt: skip


@dataclass(eq=False)
class MaxPool2D(_Pool):
    r"""Keep the largest value of each window of an image.

    .. math:: y_{c,i,j} = \max_{a,b} x_{c,\; i s_h + a - p_{top},\; j s_w + b - p_{left}}

    Parameters
    ----------
    kernel_size : int or (int, int)
        Height and width of the window, in pixels.
    stride : int or (int, int), optional
        Step from window to window, in pixels. By default ``kernel_size``: windows tile the image.
    padding : int, (int, int), (top, bottom, left, right), "same" or "valid"
        Pixels of -inf around the image, at most half the window.
    ceil_mode : bool
        Round the output size up, as PyTorch does with it.

    Raises
    ------
    ValueError
        If a setting is out of range, or, on call, if the window exceeds the image.

    Notes
    -----
    Shapes: ``(n, c, h, w)`` to ``(n, c, (h + top + bottom - kh) // sh + 1, ...)``.
    Of equal values in a window, the first in row order gets the gradient. A NaN wins.
    Twin: `deepfs.reference.max_pool2d`.

    References
    ----------
    Ranzato et al., "Unsupervised learning of invariant feature hierarchies", 2007.

    Examples
    --------
    >>> from deepfs.layers import MaxPool2D
    >>> MaxPool2D(2)(np.arange(16.0).reshape(1, 1, 4, 4))[0, 0]
    array([[ 5.,  7.],
           [13., 15.]])
    """

    kernel_size: int | tuple[int, int] = 2
    stride: int | tuple[int, int] | None = None
    padding: str | int | tuple[int, int] | tuple[int, int, int, int] = 0
    ceil_mode: bool = False

    backward_ends = frozenset({"gate"})

    def _forward(self, x: Array, training: bool) -> tuple[Array, Any]:
        y, argmax, window = self._pool(x, True)
        return to_nchw(y), ((argmax, y, x.shape), window)

    def _infer(self, x: Array) -> Array:
        return to_nchw(self._pool(x, False)[0])

    def _pool(self, x: Array, remember: bool) -> tuple[Array, Array | None, tuple[Any, ...]]:
        self.check_shape(x)
        place = self._place(*x.shape[2:])
        window = self._window(place)
        return *max_pool(x, place.oh, place.ow, window, remember), window

    def _window(self, place: Placement) -> tuple[Any, ...]:
        """Return what describes the window to both kernels."""
        kernel_size: Any = self.kernel_size
        stride: Any = self.stride
        return (*kernel_size, *stride, place.top, place.left)

    def _backward(self, dy: Array, cache: Any, need_dx: bool, gate: bool = False) -> Array | None:
        if not need_dx:
            return None
        pooled, window = cache
        return gradient_of_max_pool(to_nhwc(dy), pooled, window, gate)


def max_pool(
    x: Array, oh: int, ow: int, window: tuple[Any, ...], remember: bool
) -> tuple[Array, Array | None]:
    """Return the largest values, channels-last, and which they were, for the gradient."""
    n, c = x.shape[:2]
    y, argmax = empty((n, oh, ow, c), x.dtype), None
    if remember:
        words = pool.argmax_words(ow, window[0], window[1], x.itemsize)
        argmax = empty((n, oh, words, c), x.dtype)
    pool.max_pool2d_forward(to_nhwc(x), y, argmax, *window)
    return y, argmax


def gradient_of_max_pool(dy: Array, cache: Any, window: tuple[Any, ...], gate: bool) -> Array:
    """Return dx for a channels-last ``dy``; with ``gate`` it is 0 where x is not above 0."""
    argmax, y, (n, c, h, w) = cache
    dx = empty((n, h, w, c), dy.dtype)
    # a pixel that gets a gradient has the value of its window: y gates as well as x
    above = {"y": y} if gate else {}
    pool.max_pool2d_backward(dy, argmax, dx, *window, **above)
    return to_nchw(dx)


@dataclass(eq=False)
class AvgPool2D(_Pool):
    r"""Take the mean of each window of an image.

    .. math::
        y_{c,i,j} = \frac{1}{N} \sum_{a,b} x_{c,\; i s_h + a - p_{top},\; j s_w + b - p_{left}}

    Parameters
    ----------
    kernel_size : int or (int, int)
        Height and width of the window, in pixels.
    stride : int or (int, int), optional
        Step from window to window, in pixels. By default ``kernel_size``: windows tile the image.
    padding : int, (int, int), (top, bottom, left, right), "same" or "valid"
        Pixels around the image, at most half the window.
    ceil_mode : bool
        Round the output size up, as PyTorch does with it.
    count_include_pad : bool
        Divide by the whole window, the padding as zeros (PyTorch's default), instead of by the
        pixels of the image under it.

    Raises
    ------
    ValueError
        If a setting is out of range, or, on call, if the window exceeds the image.

    Notes
    -----
    Shapes: ``(n, c, h, w)`` to ``(n, c, (h + top + bottom - kh) // sh + 1, ...)``.
    Each pixel of a window gets its share of the window's gradient.
    Twin: `deepfs.reference.avg_pool2d`.

    References
    ----------
    LeCun et al., "Gradient-based learning applied to document recognition", 1998.

    Examples
    --------
    >>> from deepfs.layers import AvgPool2D
    >>> AvgPool2D(2)(np.arange(16.0).reshape(1, 1, 4, 4))[0, 0]
    array([[ 2.5,  4.5],
           [10.5, 12.5]])
    """

    kernel_size: int | tuple[int, int] = 2
    stride: int | tuple[int, int] | None = None
    padding: str | int | tuple[int, int] | tuple[int, int, int, int] = 0
    ceil_mode: bool = False
    count_include_pad: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        self.count_include_pad = flag(self.count_include_pad, "count_include_pad")

    def _window(self, place: Placement) -> tuple[Any, ...]:
        """Return what describes the window to both kernels, after the arrays."""
        kernel_size: Any = self.kernel_size
        stride: Any = self.stride
        sides = (place.top, place.left, place.bottom, place.right)
        mean = pool.mean_with_padding if self.count_include_pad else pool.mean_of_pixels
        return (*kernel_size, *stride, *sides, mean)

    def _forward(self, x: Array, training: bool) -> tuple[Array, Any]:
        self.check_shape(x)
        place = self._place(*x.shape[2:])
        window = self._window(place)
        y = empty((len(x), place.oh, place.ow, x.shape[1]), x.dtype)
        pool.avg_pool2d_forward(to_nhwc(x), y, *window)
        return to_nchw(y), (x.shape, window)

    def _backward(self, dy: Array, cache: Any, need_dx: bool) -> Array | None:
        if not need_dx:
            return None
        (n, c, h, w), window = cache
        dx = empty((n, h, w, c), dy.dtype)
        pool.avg_pool2d_backward(to_nhwc(dy), dx, *window)
        return to_nchw(dx)


class _Global(Layer):
    """What pooling over whole images shares: its shapes."""

    input_rank = (4,)

    def _out_shape(self, in_shape: Shape) -> Shape:
        check_pixels(self.label, in_shape)
        return in_shape[:1]


def check_pixels(who: str, in_shape: Shape) -> None:
    """Raise ValueError for an image without pixels, of which there is no mean and no maximum."""
    if min(in_shape[1:]) < 1:
        raise ValueError(f"{who} needs an image with pixels, got shape {in_shape}")


@dataclass(eq=False)
class GlobalAvgPool2D(_Global):
    r"""Take the mean of each channel of an image.

    .. math::
        y_c = \frac{1}{h w} \sum_{i,j} x_{c,i,j}, \quad dx_{c,i,j} = \frac{1}{h w} dy_c

    Raises
    ------
    ValueError
        On call, if the image has no pixels.

    Notes
    -----
    Shapes: ``(n, c, h, w)`` to ``(n, c)``, for images of any size.
    Twin: `deepfs.reference.global_avg_pool2d`.

    References
    ----------
    Lin, Chen and Yan, "Network in network", 2013, arXiv:1312.4400.

    Examples
    --------
    >>> from deepfs.layers import GlobalAvgPool2D
    >>> GlobalAvgPool2D()(np.arange(8.0).reshape(1, 2, 2, 2))
    array([[1.5, 5.5]])
    """

    def _forward(self, x: Array, training: bool) -> tuple[Array, Any]:
        self.check_shape(x)
        n, c, h, w = x.shape
        y = empty((n, 1, 1, c), x.dtype)
        pool.avg_pool2d_forward(to_nhwc(x), y, h, w, 1, 1, 0, 0, 0, 0, pool.mean_of_pixels)
        return y.reshape(n, c), x.shape

    def _backward(self, dy: Array, cache: Any, need_dx: bool) -> Array | None:
        if not need_dx:
            return None
        n, c, h, w = cache
        dx = empty((n, h, w, c), dy.dtype)
        dy = np.ascontiguousarray(dy).reshape(n, 1, 1, c)
        pool.avg_pool2d_backward(dy, dx, h, w, 1, 1, 0, 0, 0, 0, pool.mean_of_pixels)
        return to_nchw(dx)


@dataclass(eq=False)
class GlobalMaxPool2D(_Global):
    r"""Keep the largest value of each channel of an image.

    .. math:: y_c = \max_{i,j} x_{c,i,j}

    Raises
    ------
    ValueError
        On call, if the image has no pixels.

    Notes
    -----
    Shapes: ``(n, c, h, w)`` to ``(n, c)``, for images of any size.
    Of equal values in a channel, the first in row order gets the gradient. A NaN wins.
    Twin: `deepfs.reference.global_max_pool2d`.

    References
    ----------
    Oquab, Bottou, Laptev and Sivic, "Is object localization for free?", 2015.

    Examples
    --------
    >>> from deepfs.layers import GlobalMaxPool2D
    >>> GlobalMaxPool2D()(np.arange(8.0).reshape(1, 2, 2, 2))
    array([[3., 7.]])
    """

    backward_ends = frozenset({"gate"})

    def _forward(self, x: Array, training: bool) -> tuple[Array, Any]:
        y, argmax = self._pool(x, True)
        return y.reshape(x.shape[:2]), (argmax, y, x.shape)

    def _infer(self, x: Array) -> Array:
        return self._pool(x, False)[0].reshape(x.shape[:2])

    def _pool(self, x: Array, remember: bool) -> tuple[Array, Array | None]:
        self.check_shape(x)
        return max_pool(x, 1, 1, (*x.shape[2:], 1, 1, 0, 0), remember)

    def _backward(self, dy: Array, cache: Any, need_dx: bool, gate: bool = False) -> Array | None:
        if not need_dx:
            return None
        n, c, h, w = cache[2]
        dy = np.ascontiguousarray(dy).reshape(n, 1, 1, c)
        return gradient_of_max_pool(dy, cache, (h, w, 1, 1, 0, 0), gate)


@dataclass(eq=False)
class AdaptiveAvgPool2D(Layer):
    r"""Share out an image among windows, as many as the output has pixels, and take their means.

    .. math::
        y_{c,i,j} = \frac{1}{N} \sum_{a,b} x_{c,a,b}, \quad
        \left\lfloor \frac{i h}{oh} \right\rfloor \le a <
        \left\lceil \frac{(i + 1) h}{oh} \right\rceil, \quad
        \left\lfloor \frac{j w}{ow} \right\rfloor \le b <
        \left\lceil \frac{(j + 1) w}{ow} \right\rceil

    Parameters
    ----------
    output_size : int or (int, int)
        Height and width of the output, in pixels.

    Raises
    ------
    ValueError
        If ``output_size`` is below 1, or, on call, if the image has no pixels.

    Notes
    -----
    Shapes: ``(n, c, h, w)`` to ``(n, c, *output_size)``, for images of any size, smaller ones too.
    Windows overlap by a pixel where ``output_size`` does not divide the image.
    Twin: `deepfs.reference.adaptive_avg_pool2d`.

    References
    ----------
    ``torch.nn.AdaptiveAvgPool2d``; He, Zhang, Ren and Sun, "Spatial pyramid pooling in deep
    convolutional networks for visual recognition", 2014, arXiv:1406.4729.

    Examples
    --------
    >>> from deepfs.layers import AdaptiveAvgPool2D
    >>> AdaptiveAvgPool2D((1, 2))(np.arange(6.0).reshape(1, 1, 2, 3))
    array([[[[2., 3.]]]])
    """

    output_size: int | tuple[int, int]

    input_rank = (4,)

    def __post_init__(self) -> None:
        self.output_size = pair(self.output_size, "output_size")

    def _out_shape(self, in_shape: Shape) -> Shape:
        output_size: Any = self.output_size
        check_pixels(self.label, in_shape)
        return in_shape[0], *output_size

    def _forward(self, x: Array, training: bool) -> tuple[Array, Any]:
        self.check_shape(x)
        output_size: Any = self.output_size
        y = empty((len(x), *output_size, x.shape[1]), x.dtype)
        pool.avg_pool2d_forward(to_nhwc(x), y, *SHARED, 0, 0, 0, 0, pool.mean_of_pixels)
        return to_nchw(y), x.shape

    def _backward(self, dy: Array, cache: Any, need_dx: bool) -> Array | None:
        if not need_dx:
            return None
        n, c, h, w = cache
        dx = empty((n, h, w, c), dy.dtype)
        pool.avg_pool2d_backward(to_nhwc(dy), dx, *SHARED, 0, 0, 0, 0, pool.mean_of_pixels)
        return to_nchw(dx)
