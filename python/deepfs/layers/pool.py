"""Pooling layers. Kernels: ``src/cnn_core/pool.pyx``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from cnn_core import pool

from .._arrays import Array, Shape, channels_first, channels_last, empty
from .._check import flag
from ._base import Layer
from ._fusion import PLAIN, Epilogue
from ._window import Placement, checked_window, past_extent, place_window


class _Pool(Layer):
    """Base of max and average pooling: the window."""

    input_rank = (4,)
    # types of the fields of the layers below, before __post_init__ has run
    kernel_size: Any
    stride: Any
    padding: Any
    ceil_mode: bool
    dilation: Any

    def __post_init__(self) -> None:
        stride = self.kernel_size if self.stride is None else self.stride
        self._checked = checked_window(self.kernel_size, stride, self.padding, self.dilation)
        self.kernel_size, self.stride, self.padding, self.dilation = self._checked
        self.ceil_mode = flag(self.ceil_mode, "ceil_mode")
        (kh, kw), (dh, dw) = self._checked.kernel_size, self._checked.dilation
        extents = dh * (kh - 1) + 1, dw * (kw - 1) + 1
        if past_extent(self._checked.padding, extents):
            wide = "" if (dh, dw) == (1, 1) else f", which covers {extents[0]}x{extents[1]}"
            raise ValueError(
                f"{self.label} padding must be less than the window {kh}x{kw}{wide}, "
                f"got {self.padding}"
            )

    def _out_shape(self, in_shape: Shape) -> Shape:
        c, h, w = in_shape
        return c, *self._place(h, w)[:2]

    def _place(self, h: int, w: int) -> Placement:
        return place_window(self.label, (h, w), *self._checked, self.ceil_mode, True)


@dataclass(eq=False)
class MaxPool2D(_Pool):
    r"""2D max pooling: the largest value of each window of an image.

    .. math::
        y_{c,i,j} = \max_{a,b} x_{c,\; i s_h + a d_h - p_{top},\; j s_w + b d_w - p_{left}}

    Parameters
    ----------
    kernel_size : int or (int, int)
        Height and width of the window, in pixels.
    stride : int or (int, int), optional
        Step from window to window, in pixels. By default ``kernel_size``: windows tile the image.
    padding : int, (int, int), (top, bottom, left, right), "same" or "valid"
        Pixels of -inf around the image, fewer than the window covers.
    ceil_mode : bool
        Round the output size up, as PyTorch does with it.
    dilation : int or (int, int)
        Step from entry to entry of the window, in pixels; 1 is an ordinary window.

    Raises
    ------
    ValueError
        If a setting is out of range, or, on call, if the window exceeds the image or contains no
        pixel of it somewhere.

    Notes
    -----
    Shapes: ``(n, c, h, w)`` to ``(n, c, (h + top + bottom - dh (kh - 1) - 1) // sh + 1, ...)``.
    Of equal values in a window, the first in row order gets the gradient. NaN counts as the
    largest value. NumPy reference: `deepfs.reference.max_pool2d`.

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
    dilation: int | tuple[int, int] = field(default=1, metadata={"omitted": (1, 1)})

    fuses_backward = frozenset({"drelu"})

    def _forward(self, x: Array, training: bool) -> tuple[Array, Any]:
        self.check_shape(x)
        place = self._place(*x.shape[2:])
        window = max_window(place)
        y, argmax = max_pool_forward(x, place.oh, place.ow, window, True)
        return channels_first(y), (argmax, y, x.shape, window)

    def _infer(self, x: Array) -> Array:  # type: ignore[override]
        self.check_shape(x)
        place = self._place(*x.shape[2:])
        y, _ = max_pool_forward(x, place.oh, place.ow, max_window(place), False)
        return channels_first(y)

    def with_indices(self, x: ArrayLike) -> tuple[Array, Array]:
        """Return the output for the batch ``x``, and which pixels its numbers come from.

        The indices are int64, in the shape of the output. Pixel (i, j) of an image of width w has
        the number i w + j, in each channel, as with PyTorch's ``return_indices``. ONNX numbers all
        pixels of ``x``: channel k of image m adds (m c + k) h w.

        Examples
        --------
        >>> from deepfs.layers import MaxPool2D
        >>> y, indices = MaxPool2D(2).with_indices(np.arange(16.0).reshape(1, 1, 4, 4))
        >>> indices[0, 0]
        array([[ 5,  7],
               [13, 15]])
        """
        x = self.prepare(x)
        self.check_shape(x)
        place = self._place(*x.shape[2:])
        window = max_window(place)
        y, argmax = max_pool_forward(x, place.oh, place.ow, window, True)
        return channels_first(y), channels_first(indices_of(argmax, place.ow, x.shape[3], window))

    def _backward(
        self, dy: Array, cache: Any, need_dx: bool, end: Epilogue = PLAIN
    ) -> Array | None:
        return max_pool_backward(channels_last(dy), cache, end.drelu) if need_dx else None


def max_window(place: Placement) -> tuple[Any, ...]:
    """Return the arguments that describe the window to both kernels."""
    return *place.kernel_size, *place.stride, place.top, place.left, *place.dilation


def max_pool_forward(
    x: Array, oh: int, ow: int, window: tuple[Any, ...], keep_argmax: bool
) -> tuple[Array, Array | None]:
    """Return the largest values, channels-last, and where they were, for the gradient."""
    n, c = x.shape[:2]
    y, argmax = empty((n, oh, ow, c), x.dtype), None
    if keep_argmax:
        words = pool.argmax_words(ow, window[0], window[1], x.itemsize)
        argmax = empty((n, oh, words, c), x.dtype)
    pool.max_pool2d_forward(channels_last(x), y, argmax, *window)
    return y, argmax


def max_pool_backward(dy: Array, cache: Any, drelu: bool) -> Array:
    """Return dx for a channels-last ``dy``; with ``drelu`` it is 0 where x is not above 0."""
    argmax, y, (n, c, h, w), window = cache
    dx = empty((n, h, w, c), dy.dtype)
    # a pixel that gets a gradient has the value y of its window: y > 0 where x > 0
    above = {"y": y} if drelu else {}
    pool.max_pool2d_backward(dy, argmax, dx, *window, **above)
    return channels_first(dx)


def indices_of(argmax: Any, ow: int, w: int, window: tuple[Any, ...]) -> Array:
    """Return the numbers of the largest pixels in images of width ``w``, channels-last."""
    kh, kw, sh, sw, top, left, dh, dw = window
    shared = 32 // pool.argmax_words(32, kh, kw, argmax.itemsize)  # windows that share a word
    words = argmax.view(f"u{argmax.itemsize}")
    entry = np.repeat(words, shared, axis=2)[:, :, :ow]
    if shared > 1:  # a byte for each
        bits = 8 * (np.arange(ow, dtype=words.dtype) % shared)
        entry = entry >> bits[:, None] & words.dtype.type(255)
    a, b = np.divmod(entry.astype(np.int64), kw)
    rows = np.arange(argmax.shape[1])[:, None, None] * sh - top + a * dh
    columns = np.arange(ow)[:, None] * sw - left + b * dw
    return rows * w + columns


@dataclass(eq=False)
class AvgPool2D(_Pool):
    r"""2D average pooling: the mean of each window of an image.

    .. math::
        y_{c,i,j} = \frac{1}{N}
        \sum_{a,b} x_{c,\; i s_h + a d_h - p_{top},\; j s_w + b d_w - p_{left}}

    Parameters
    ----------
    kernel_size : int or (int, int)
        Height and width of the window, in pixels.
    stride : int or (int, int), optional
        Step from window to window, in pixels. By default ``kernel_size``: windows tile the image.
    padding : int, (int, int), (top, bottom, left, right), "same" or "valid"
        Pixels around the image, fewer than the window covers.
    ceil_mode : bool
        Round the output size up, as PyTorch does with it.
    count_include_pad : bool
        Count the padding as pixels of value 0 and divide by the size of the window (PyTorch's
        default). Otherwise divide by the number of pixels of the image in the window.
    dilation : int or (int, int)
        Step from entry to entry of the window, in pixels; 1 is an ordinary window.

    Raises
    ------
    ValueError
        If a setting is out of range, or, on call, if the window exceeds the image or contains no
        pixel of it somewhere.

    Notes
    -----
    Shapes: ``(n, c, h, w)`` to ``(n, c, (h + top + bottom - dh (kh - 1) - 1) // sh + 1, ...)``.
    Each pixel of a window gets an equal share of the window's gradient.
    NumPy reference: `deepfs.reference.avg_pool2d`.

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
    dilation: int | tuple[int, int] = field(default=1, metadata={"omitted": (1, 1)})

    def __post_init__(self) -> None:
        super().__post_init__()
        self.count_include_pad = flag(self.count_include_pad, "count_include_pad")

    def _forward(self, x: Array, training: bool) -> tuple[Array, Any]:
        self.check_shape(x)
        place = self._place(*x.shape[2:])
        window = mean_window(place, self.count_include_pad)
        y = empty((len(x), place.oh, place.ow, x.shape[1]), x.dtype)
        pool.avg_pool2d_forward(channels_last(x), y, *window)
        return channels_first(y), (x.shape, window)

    def _backward(self, dy: Array, cache: Any, need_dx: bool) -> Array | None:
        if not need_dx:
            return None
        (n, c, h, w), window = cache
        dx = empty((n, h, w, c), dy.dtype)
        pool.avg_pool2d_backward(channels_last(dy), dx, *window)
        return channels_first(dx)


def mean_window(place: Placement, count_include_pad: bool) -> tuple[Any, ...]:
    """Return the arguments that describe the window to both kernels, after the arrays."""
    sides = (place.top, place.left, place.bottom, place.right)
    mean = pool.mean_with_padding if count_include_pad else pool.mean_of_pixels
    return *place.kernel_size, *place.stride, *sides, mean, *place.dilation
