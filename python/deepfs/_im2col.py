"""im2col and col2im: convolution as a matrix product. Kernel: ``im2col.pyx``."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from cnn_core import im2col as kernel

from ._arrays import Array, channels_first, channels_last, dtype_of
from ._check import array, pair
from ._check import padding as padding_of
from .layers._window import Placement, place_window


def _geometry(
    who: str, shape: tuple[int, ...], kernel_size: Any, stride: Any, padding: Any, dilation: Any
) -> tuple[tuple[int, int], Placement, tuple[int, ...]]:
    """Return the window, its output size and padding, and the arguments of both for the kernel."""
    if len(shape) != 4:
        raise ValueError(f"{who} takes images (n, c, h, w), got shape {shape}")
    window, step = pair(kernel_size, "kernel_size"), pair(stride, "stride")
    spread, sides = pair(dilation, "dilation"), padding_of(padding)
    place = place_window(who, (shape[2], shape[3]), window, step, sides, spread)
    return window, place, (place.oh, place.ow, *window, *step, place.top, place.left, *spread)


def im2col(
    x: ArrayLike,
    kernel_size: int | tuple[int, int],
    stride: int | tuple[int, int] = 1,
    padding: str | int | tuple[int, int] | tuple[int, int, int, int] = 0,
    dilation: int | tuple[int, int] = 1,
) -> Array:
    """Image to columns: copy the pixels under each window to a row of a matrix.

    The product of that matrix and the weights, as a matrix, is a convolution.

    Parameters
    ----------
    x : array (n, c, h, w)
        Images.
    kernel_size, stride, padding, dilation
        See `deepfs.layers.Conv2D`.

    Returns
    -------
    array (n * oh * ow, c * kh * kw)
        Rows ordered by image, then output pixel; columns by channel, then row and column of the
        window.

    Raises
    ------
    ValueError
        If ``x`` has not four axes, or the window exceeds the images.

    Examples
    --------
    >>> im2col(np.arange(9.0).reshape(1, 1, 3, 3), 2)[0]
    array([0., 1., 3., 4.])
    """
    x = array(x, "im2col")
    x = x.astype(dtype_of(x, "im2col"), copy=False)
    (kh, kw), place, geometry = _geometry("im2col", x.shape, kernel_size, stride, padding, dilation)
    n, c = x.shape[:2]
    col = np.empty((n * place.oh * place.ow, kh * kw * c), x.dtype)
    kernel.im2col(channels_last(x), col, *geometry)
    # the kernel orders columns by (kh, kw, c): the channels of a pixel lie side by side
    return col.reshape(len(col), kh, kw, c).transpose(0, 3, 1, 2).reshape(len(col), c * kh * kw)


def col2im(
    col: ArrayLike,
    shape: tuple[int, int, int, int],
    kernel_size: int | tuple[int, int],
    stride: int | tuple[int, int] = 1,
    padding: str | int | tuple[int, int] | tuple[int, int, int, int] = 0,
    dilation: int | tuple[int, int] = 1,
) -> Array:
    """Columns to image: add each entry to the pixel that `im2col` copied it from (its adjoint).

    Parameters
    ----------
    col : array (n * oh * ow, c * kh * kw)
        A matrix as `im2col` returns it.
    shape : (n, c, h, w)
        Shape of the images.
    kernel_size, stride, padding, dilation
        As for `im2col`.

    Returns
    -------
    array (n, c, h, w)
        Sums: a pixel under several windows is the sum of several entries.

    Raises
    ------
    ValueError
        If ``col`` does not have the shape that `im2col` returns for such images.

    Examples
    --------
    >>> col2im(im2col(np.ones((1, 1, 3, 3)), 2), (1, 1, 3, 3), 2)[0, 0]
    array([[1., 2., 1.],
           [2., 4., 2.],
           [1., 2., 1.]])
    """
    col = array(col, "col2im")
    dtype = dtype_of(col, "col2im")
    (kh, kw), place, geometry = _geometry("col2im", shape, kernel_size, stride, padding, dilation)
    n, c, h, w = shape
    needed = (n * place.oh * place.ow, c * kh * kw)
    if col.shape != needed:
        raise ValueError(
            f"col2im takes columns of shape {needed} for these images, got {col.shape}"
        )
    ordered = col.astype(dtype).reshape(len(col), c, kh, kw).transpose(0, 2, 3, 1)
    dx = np.empty((n, h, w, c), dtype)
    kernel.col2im(np.ascontiguousarray(ordered).reshape(needed), dx, *geometry)
    return channels_first(dx)
