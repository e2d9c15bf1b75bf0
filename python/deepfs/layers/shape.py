"""Layers that only rearrange.

Padding is a copy that NumPy does as fast as a kernel could; upsampling is a pooling backwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

from cnn_core import pool

from .._check import LARGEST, pair, whole
from .._check import padding as padding_of
from ._base import Array, Layer, Shape, empty, to_nchw, to_nhwc, to_rows
from .pool import check_pixels


@dataclass(eq=False)
class Flatten(Layer):
    """Turn each sample into one row of numbers.

    Notes
    -----
    Shapes: ``(n, c, h, w)`` to ``(n, c * h * w)``, in the order people read, so that a dense
    weight after it matches other frameworks. Twin: `deepfs.reference.flatten`.

    References
    ----------
    ``torch.nn.Flatten``, ``keras.layers.Flatten``.

    Examples
    --------
    >>> from deepfs.layers import Flatten
    >>> Flatten()(np.zeros((2, 3, 4, 5))).shape
    (2, 60)
    """

    def _out_shape(self, in_shape: Shape) -> Shape:
        return (prod(in_shape),)

    def _forward(self, x: Array, training: bool) -> tuple[Array, Any]:
        return to_rows(x), x.shape

    def _backward(self, dy: Array, cache: Any, need_dx: bool) -> Array | None:
        if not need_dx:
            return None
        dx = dy.reshape(cache)
        if dx.ndim == 4 and 1 not in (dx.shape[1], dx.shape[2] * dx.shape[3]):
            return to_nchw(to_nhwc(dx))  # a copy as layers of images want it
        return dx.copy()


@dataclass(eq=False)
class Reshape(Layer):
    """Give each sample another shape, its numbers in the order people read.

    Parameters
    ----------
    shape : int or tuple of int
        Of a sample, the batch left out. One entry may be -1: what is left for it.

    Raises
    ------
    ValueError
        If an entry is neither positive nor the only -1, or, on call, if the sample does not have
        as many numbers.

    Notes
    -----
    Shapes: ``(n, ...)`` to ``(n, *shape)``. As for `Flatten`, images count as ``(c, h, w)``,
    whatever their order in memory. Twin: `deepfs.reference.reshape`.

    References
    ----------
    ``keras.layers.Reshape``, ``torch.nn.Unflatten``.

    Examples
    --------
    >>> from deepfs.layers import Reshape
    >>> Reshape((2, -1))(np.arange(6.0).reshape(1, 6))
    array([[[0., 1., 2.],
            [3., 4., 5.]]])
    """

    shape: int | tuple[int, ...]

    def __post_init__(self) -> None:
        given = tuple(self.shape) if isinstance(self.shape, (tuple, list)) else (self.shape,)
        self.shape = tuple(whole(entry, "each entry of shape", -1) for entry in given)
        if 0 in self.shape or self.shape.count(-1) > 1:
            raise ValueError(
                f"shape must have positive entries, and -1 at most once, got {self.shape}"
            )

    def _out_shape(self, in_shape: Shape) -> Shape:
        shape: Any = self.shape
        size, known = prod(in_shape), prod(entry for entry in shape if entry > 0)
        if size % known or (size != known and -1 not in shape) or size == 0:
            raise ValueError(
                f"{self.label} must give shape {shape}, got samples of shape {in_shape}"
            )
        return tuple(size // known if entry == -1 else entry for entry in shape)

    def _forward(self, x: Array, training: bool) -> tuple[Array, Any]:
        return x.reshape(len(x), *self._out_shape(x.shape[1:])), x.shape

    def _backward(self, dy: Array, cache: Any, need_dx: bool) -> Array | None:
        return dy.reshape(cache).copy() if need_dx else None


@dataclass(eq=False)
class ZeroPad2D(Layer):
    """Put zeros around an image.

    Parameters
    ----------
    padding : int, (int, int) or (top, bottom, left, right)
        Rows and columns of zeros, at least 0; of two numbers, the first is above and below. Layers
        with a window take a padding of their own, which costs less.

    Raises
    ------
    ValueError
        If a number is negative. (In PyTorch that crops.)

    Notes
    -----
    Shapes: ``(n, c, h, w)`` to ``(n, c, h + top + bottom, w + left + right)``.
    The gradient of the zeros is dropped. Twin: `deepfs.reference.zero_pad2d`.

    References
    ----------
    ``keras.layers.ZeroPadding2D``; ``torch.nn.ZeroPad2d``, which takes left and right first.

    Examples
    --------
    >>> from deepfs.layers import ZeroPad2D
    >>> ZeroPad2D((1, 0, 0, 2))(np.ones((1, 1, 1, 2)))[0, 0]
    array([[0., 0., 0., 0.],
           [1., 1., 0., 0.]])
    """

    padding: int | tuple[int, int] | tuple[int, int, int, int]

    input_rank = (4,)

    def __post_init__(self) -> None:
        if isinstance(self.padding, str):
            raise TypeError(f"padding must be one, two or four ints, got {self.padding!r}")
        sides: Any = padding_of(self.padding)
        self.padding = sides

    def _out_shape(self, in_shape: Shape) -> Shape:
        c, h, w = in_shape
        top, bottom, left, right = self._sides()
        return c, h + top + bottom, w + left + right

    def _sides(self) -> tuple[int, int, int, int]:
        sides: Any = self.padding
        return sides

    def _forward(self, x: Array, training: bool) -> tuple[Array, Any]:
        self.check_shape(x)
        n, c, h, w = x.shape
        top, bottom, left, right = self._sides()
        y = empty((n, h + top + bottom, w + left + right, c), x.dtype)
        y[:, :top], y[:, top + h :] = 0, 0
        y[:, top : top + h, :left], y[:, top : top + h, left + w :] = 0, 0
        y[:, top : top + h, left : left + w] = x.transpose(0, 2, 3, 1)
        return to_nchw(y), (h, w)

    def _backward(self, dy: Array, cache: Any, need_dx: bool) -> Array | None:
        if not need_dx:
            return None
        (h, w), (top, _, left, _) = cache, self._sides()
        inside = dy[:, :, top : top + h, left : left + w]
        return to_nchw(inside.transpose(0, 2, 3, 1).copy())


@dataclass(eq=False)
class Upsample2D(Layer):
    r"""Repeat each pixel of an image down and across: nearest-neighbour upsampling.

    .. math::
        y_{c,i,j} = x_{c,\, \lfloor i / f_h \rfloor,\, \lfloor j / f_w \rfloor}, \quad
        dx_{c,i,j} = \sum_{a < f_h,\, b < f_w} dy_{c,\, i f_h + a,\, j f_w + b}

    Parameters
    ----------
    factor : int or (int, int)
        How often a pixel is repeated, down and across.

    Raises
    ------
    ValueError
        If a factor is below 1, or, on call, if the image has no pixels.

    Notes
    -----
    Shapes: ``(n, c, h, w)`` to ``(n, c, h * fh, w * fw)``. Twin: `deepfs.reference.upsample2d`.

    References
    ----------
    Odena, Dumoulin and Olah, "Deconvolution and checkerboard artifacts", 2016.
    ``torch.nn.Upsample``, ``keras.layers.UpSampling2D``.

    Examples
    --------
    >>> from deepfs.layers import Upsample2D
    >>> Upsample2D((1, 2))(np.array([[[[1.0, 2.0]]]]))
    array([[[[1., 1., 2., 2.]]]])
    """

    factor: int | tuple[int, int]

    input_rank = (4,)

    def __post_init__(self) -> None:
        self.factor = pair(self.factor, "factor")

    def _out_shape(self, in_shape: Shape) -> Shape:
        check_pixels(self.label, in_shape)
        (c, h, w), (fh, fw) = in_shape, self._factors()
        if max(h * fh, w * fw) > LARGEST:
            raise ValueError(
                f"{self.label} must give an image of at most {LARGEST} pixels a side, "
                f"got {h * fh}x{w * fw}"
            )
        return c, h * fh, w * fw

    def _factors(self) -> tuple[int, int]:
        factor: Any = self.factor
        return factor

    def _window(self) -> tuple[int, ...]:
        """Return the pooling that adds up what has been repeated."""
        return (*self._factors(), *self._factors(), 0, 0, 0, 0, pool.mean_undivided)

    def _forward(self, x: Array, training: bool) -> tuple[Array, Any]:
        self.check_shape(x)
        (n, c, h, w), (fh, fw) = x.shape, self._factors()
        y = empty((n, h * fh, w * fw, c), x.dtype)
        pool.avg_pool2d_backward(to_nhwc(x), y, *self._window())
        return to_nchw(y), x.shape

    def _backward(self, dy: Array, cache: Any, need_dx: bool) -> Array | None:
        if not need_dx:
            return None
        n, c, h, w = cache
        dx = empty((n, h, w, c), dy.dtype)
        pool.avg_pool2d_forward(to_nhwc(dy), dx, *self._window())
        return to_nchw(dx)
