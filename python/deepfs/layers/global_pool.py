"""Pooling over whole images or a given number of windows. Kernels: ``src/cnn_core/pool.pyx``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from cnn_core import pool

from .._arrays import Array, Shape, channels_first, channels_last, empty
from .._check import pair
from ._base import Layer
from ._fusion import PLAIN, Epilogue
from .pool import max_pool_backward, max_pool_forward

SHARED = (0, 0, 0, 0)  # adaptive: the kernel derives windows and strides from the sizes


class _Global(Layer):
    """Base of pooling over whole images."""

    input_rank = (4,)

    def _out_shape(self, in_shape: Shape) -> Shape:
        check_pixels(self.label, in_shape)
        return in_shape[:1]


def check_pixels(who: str, in_shape: Shape) -> None:
    """Raise ValueError for an image without pixels, which has neither mean nor maximum."""
    if min(in_shape[1:]) < 1:
        what = "an image with pixels" if len(in_shape) == 3 else "a sequence with entries"
        raise ValueError(f"{who} needs {what}, got shape {in_shape}")


@dataclass(eq=False)
class GlobalAvgPool2D(_Global):
    r"""Global average pooling: the mean of each channel of an image.

    .. math::
        y_c = \frac{1}{h w} \sum_{i,j} x_{c,i,j}, \quad dx_{c,i,j} = \frac{1}{h w} dy_c

    Raises
    ------
    ValueError
        On call, if the image has no pixels.

    Notes
    -----
    Shapes: ``(n, c, h, w)`` to ``(n, c)``, for images of any size.
    NumPy reference: `deepfs.reference.global_avg_pool2d`.

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
        pool.avg_pool2d_forward(channels_last(x), y, h, w, 1, 1, 0, 0, 0, 0, pool.mean_of_pixels)
        return y.reshape(n, c), x.shape

    def _backward(self, dy: Array, cache: Any, need_dx: bool) -> Array | None:
        if not need_dx:
            return None
        n, c, h, w = cache
        dx = empty((n, h, w, c), dy.dtype)
        dy = np.ascontiguousarray(dy).reshape(n, 1, 1, c)
        pool.avg_pool2d_backward(dy, dx, h, w, 1, 1, 0, 0, 0, 0, pool.mean_of_pixels)
        return channels_first(dx)


@dataclass(eq=False)
class GlobalMaxPool2D(_Global):
    r"""Global max pooling: the largest value of each channel of an image.

    .. math:: y_c = \max_{i,j} x_{c,i,j}

    Raises
    ------
    ValueError
        On call, if the image has no pixels.

    Notes
    -----
    Shapes: ``(n, c, h, w)`` to ``(n, c)``, for images of any size.
    Of equal values in a channel, the first in row order gets the gradient. NaN counts as the
    largest value.
    NumPy reference: `deepfs.reference.global_max_pool2d`.

    References
    ----------
    Oquab, Bottou, Laptev and Sivic, "Is object localization for free?", 2015.

    Examples
    --------
    >>> from deepfs.layers import GlobalMaxPool2D
    >>> GlobalMaxPool2D()(np.arange(8.0).reshape(1, 2, 2, 2))
    array([[3., 7.]])
    """

    fuses_backward = frozenset({"drelu"})

    def _forward(self, x: Array, training: bool) -> tuple[Array, Any]:
        self.check_shape(x)
        window = (*x.shape[2:], 1, 1, 0, 0)
        y, argmax = max_pool_forward(x, 1, 1, window, True)
        return y.reshape(x.shape[:2]), (argmax, y, x.shape, window)

    def _infer(self, x: Array) -> Array:  # type: ignore[override]
        self.check_shape(x)
        y, _ = max_pool_forward(x, 1, 1, (*x.shape[2:], 1, 1, 0, 0), False)
        return y.reshape(x.shape[:2])

    def _backward(
        self, dy: Array, cache: Any, need_dx: bool, end: Epilogue = PLAIN
    ) -> Array | None:
        if not need_dx:
            return None
        n, c = dy.shape
        dy = np.ascontiguousarray(dy).reshape(n, 1, 1, c)
        return max_pool_backward(dy, cache, end.drelu)


@dataclass(eq=False)
class AdaptiveAvgPool2D(Layer):
    r"""Adaptive average pooling: means of windows chosen to give an output of a fixed size.

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
    Shapes: ``(n, c, h, w)`` to ``(n, c, *output_size)``, for images of any size, also smaller than
    the output. Windows overlap by a pixel where ``output_size`` does not divide the image size.
    NumPy reference: `deepfs.reference.adaptive_avg_pool2d`.

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
        self.output_size = self._size = pair(self.output_size, "output_size")

    def _out_shape(self, in_shape: Shape) -> Shape:
        check_pixels(self.label, in_shape)
        return in_shape[0], *self._size

    def _forward(self, x: Array, training: bool) -> tuple[Array, Any]:
        self.check_shape(x)
        y = empty((len(x), *self._size, x.shape[1]), x.dtype)
        pool.avg_pool2d_forward(channels_last(x), y, *SHARED, 0, 0, 0, 0, pool.mean_of_pixels)
        return channels_first(y), x.shape

    def _backward(self, dy: Array, cache: Any, need_dx: bool) -> Array | None:
        if not need_dx:
            return None
        n, c, h, w = cache
        dx = empty((n, h, w, c), dy.dtype)
        pool.avg_pool2d_backward(channels_last(dy), dx, *SHARED, 0, 0, 0, 0, pool.mean_of_pixels)
        return channels_first(dx)
