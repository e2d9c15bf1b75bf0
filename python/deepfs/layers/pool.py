"""Pooling layers. Kernels: ``src/cnn_core/pool.pyx``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cnn_core import pool

from .._arrays import Array, Shape, channels_first, channels_last, empty
from .._check import flag
from ._base import Layer
from ._fusion import PLAIN, Epilogue
from ._window import Placement, checked_window, place_window


class _Pool(Layer):
    """Base of max and average pooling: the window."""

    input_rank = (4,)
    # types of the fields of the layers below, before __post_init__ has run
    kernel_size: Any
    stride: Any
    padding: Any
    ceil_mode: bool

    def __post_init__(self) -> None:
        stride = self.kernel_size if self.stride is None else self.stride
        self._checked = checked_window(self.kernel_size, stride, self.padding)
        self.kernel_size, self.stride, self.padding, _ = self._checked
        self.ceil_mode = flag(self.ceil_mode, "ceil_mode")
        if not isinstance(self._checked.padding, str):
            kh, kw = self._checked.kernel_size
            top, bottom, left, right = self._checked.padding
            if max(top, bottom) > kh // 2 or max(left, right) > kw // 2:
                raise ValueError(
                    f"{self.label} padding must be at most half the window {kh}x{kw}, "
                    f"got {self.padding}"
                )

    def _out_shape(self, in_shape: Shape) -> Shape:
        c, h, w = in_shape
        return c, *self._place(h, w)[:2]

    def _place(self, h: int, w: int) -> Placement:
        return place_window(self.label, (h, w), *self._checked, self.ceil_mode)


@dataclass(eq=False)
class MaxPool2D(_Pool):
    r"""2D max pooling: the largest value of each window of an image.

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

    def _backward(
        self, dy: Array, cache: Any, need_dx: bool, end: Epilogue = PLAIN
    ) -> Array | None:
        return max_pool_backward(channels_last(dy), cache, end.drelu) if need_dx else None


def max_window(place: Placement) -> tuple[Any, ...]:
    """Return the arguments that describe the window to both kernels."""
    (kh, kw), (sh, sw) = place.kernel_size, place.stride
    return kh, kw, sh, sw, place.top, place.left


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


@dataclass(eq=False)
class AvgPool2D(_Pool):
    r"""2D average pooling: the mean of each window of an image.

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
        Count the padding as pixels of value 0 and divide by the size of the window (PyTorch's
        default). Otherwise divide by the number of pixels of the image in the window.

    Raises
    ------
    ValueError
        If a setting is out of range, or, on call, if the window exceeds the image.

    Notes
    -----
    Shapes: ``(n, c, h, w)`` to ``(n, c, (h + top + bottom - kh) // sh + 1, ...)``.
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
    (kh, kw), (sh, sw) = place.kernel_size, place.stride
    return kh, kw, sh, sw, *sides, mean
