"""Pooling over whole sequences or a given number of windows. Kernels: those of images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from cnn_core import pool

from .._arrays import Array, Shape, channels_first, channels_last, empty
from .._check import MAX_EXTENT, whole
from ._base import Layer
from ._fusion import PLAIN, Epilogue
from .global_pool import SHARED, check_pixels
from .pool import max_pool_backward, max_pool_forward


class _Global1D(Layer):
    """Base of pooling over whole sequences."""

    input_rank = (3,)

    def _out_shape(self, in_shape: Shape) -> Shape:
        check_pixels(self.label, in_shape)
        return in_shape[:1]


@dataclass(eq=False)
class GlobalAvgPool1D(_Global1D):
    r"""Global average pooling: the mean of each channel of a sequence.

    .. math:: y_c = \frac{1}{l} \sum_i x_{c,i}, \quad dx_{c,i} = \frac{1}{l} dy_c

    Raises
    ------
    ValueError
        On call, if the sequence has no entries.

    Notes
    -----
    Shapes: ``(n, c, l)`` to ``(n, c)``, for sequences of any length.
    NumPy reference: `deepfs.reference.global_avg_pool1d`.

    References
    ----------
    ``keras.layers.GlobalAveragePooling1D``; `GlobalAvgPool2D`.

    Examples
    --------
    >>> from deepfs.layers import GlobalAvgPool1D
    >>> GlobalAvgPool1D()(np.arange(8.0).reshape(1, 2, 4))
    array([[1.5, 5.5]])
    """

    def _forward(self, x: Array, training: bool) -> tuple[Array, Any]:
        self.check_shape(x)
        n, c, length = x.shape
        y, window = empty((n, 1, 1, c), x.dtype), (1, length, 1, 1, 0, 0, 0, 0)
        pool.avg_pool2d_forward(channels_last(x[:, :, None]), y, *window, pool.mean_of_pixels)
        return y.reshape(n, c), x.shape

    def _backward(self, dy: Array, cache: Any, need_dx: bool) -> Array | None:
        if not need_dx:
            return None
        n, c, length = cache
        dx, window = empty((n, 1, length, c), dy.dtype), (1, length, 1, 1, 0, 0, 0, 0)
        dy = np.ascontiguousarray(dy).reshape(n, 1, 1, c)
        pool.avg_pool2d_backward(dy, dx, *window, pool.mean_of_pixels)
        return channels_first(dx)[:, :, 0]


@dataclass(eq=False)
class GlobalMaxPool1D(_Global1D):
    r"""Global max pooling: the largest value of each channel of a sequence.

    .. math:: y_c = \max_i x_{c,i}

    Raises
    ------
    ValueError
        On call, if the sequence has no entries.

    Notes
    -----
    Shapes: ``(n, c, l)`` to ``(n, c)``, for sequences of any length.
    Of equal values in a channel, the first gets the gradient. NaN counts as the largest value.
    NumPy reference: `deepfs.reference.global_max_pool1d`.

    References
    ----------
    Collobert et al., "Natural language processing (almost) from scratch", 2011, arXiv:1103.0398
    (max over time). ``keras.layers.GlobalMaxPooling1D``.

    Examples
    --------
    >>> from deepfs.layers import GlobalMaxPool1D
    >>> GlobalMaxPool1D()(np.arange(8.0).reshape(1, 2, 4))
    array([[3., 7.]])
    """

    fuses_backward = frozenset({"drelu"})

    def _forward(self, x: Array, training: bool) -> tuple[Array, Any]:
        self.check_shape(x)
        n, c, length = x.shape
        window = (1, length, 1, 1, 0, 0)
        y, argmax = max_pool_forward(x[:, :, None], 1, 1, window, True)
        return y.reshape(n, c), (argmax, y, (n, c, 1, length), window)

    def _infer(self, x: Array) -> Array:  # type: ignore[override]
        self.check_shape(x)
        y, _ = max_pool_forward(x[:, :, None], 1, 1, (1, x.shape[2], 1, 1, 0, 0), False)
        return y.reshape(x.shape[:2])

    def _backward(
        self, dy: Array, cache: Any, need_dx: bool, end: Epilogue = PLAIN
    ) -> Array | None:
        if not need_dx:
            return None
        n, c = dy.shape
        dy = np.ascontiguousarray(dy).reshape(n, 1, 1, c)
        return max_pool_backward(dy, cache, end.drelu)[:, :, 0]


@dataclass(eq=False)
class AdaptiveAvgPool1D(Layer):
    r"""Adaptive average pooling: means of windows chosen to give an output of a fixed length.

    .. math::
        y_{c,i} = \frac{1}{N} \sum_a x_{c,a}, \quad
        \left\lfloor \frac{i l}{ol} \right\rfloor \le a <
        \left\lceil \frac{(i + 1) l}{ol} \right\rceil

    Parameters
    ----------
    output_size : int
        Length of the output, in entries.

    Raises
    ------
    TypeError, ValueError
        If ``output_size`` is no int or below 1; ValueError on call, if the sequence has no entries.

    Notes
    -----
    Shapes: ``(n, c, l)`` to ``(n, c, output_size)``, for sequences of any length, also shorter than
    the output. Windows overlap by an entry where ``output_size`` does not divide the length.
    NumPy reference: `deepfs.reference.adaptive_avg_pool1d`.

    References
    ----------
    ``torch.nn.AdaptiveAvgPool1d``; `AdaptiveAvgPool2D`.

    Examples
    --------
    >>> from deepfs.layers import AdaptiveAvgPool1D
    >>> AdaptiveAvgPool1D(2)(np.arange(6.0).reshape(1, 2, 3))
    array([[[0.5, 1.5],
            [3.5, 4.5]]])
    """

    output_size: int

    input_rank = (3,)

    def __post_init__(self) -> None:
        self.output_size = whole(self.output_size, "output_size", most=MAX_EXTENT)

    def _out_shape(self, in_shape: Shape) -> Shape:
        check_pixels(self.label, in_shape)
        return in_shape[0], self.output_size

    def _forward(self, x: Array, training: bool) -> tuple[Array, Any]:
        self.check_shape(x)
        y = empty((len(x), 1, self.output_size, x.shape[1]), x.dtype)
        window = (*SHARED, 0, 0, 0, 0, pool.mean_of_pixels)
        pool.avg_pool2d_forward(channels_last(x[:, :, None]), y, *window)
        return channels_first(y)[:, :, 0], x.shape

    def _backward(self, dy: Array, cache: Any, need_dx: bool) -> Array | None:
        if not need_dx:
            return None
        n, c, length = cache
        dx, window = empty((n, 1, length, c), dy.dtype), (*SHARED, 0, 0, 0, 0, pool.mean_of_pixels)
        pool.avg_pool2d_backward(channels_last(dy[:, :, None]), dx, *window)
        return channels_first(dx)[:, :, 0]
