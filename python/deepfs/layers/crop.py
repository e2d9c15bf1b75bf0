"""Cropping of images. For sequences see ``crop1d.py``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .._arrays import Array, Shape, channels_first, empty
from .._check import sides
from ._base import Layer


@dataclass(eq=False)
class Crop2D(Layer):
    r"""Cropping: cut rows and columns off the border of an image.

    .. math:: y_{c,i,j} = x_{c,\, i + top,\, j + left}

    Parameters
    ----------
    cropping : int, (int, int) or (top, bottom, left, right)
        Rows and columns to cut off, at least 0. Of two numbers, the first is for top and bottom,
        the second for left and right.

    Raises
    ------
    TypeError, ValueError
        If a number is not an int, or negative; ValueError on call, if nothing of the image is left.

    Notes
    -----
    Shapes: ``(n, c, h, w)`` to ``(n, c, h - top - bottom, w - left - right)``.
    The gradient of what is cut off is 0. NumPy reference: `deepfs.reference.crop2d`.

    References
    ----------
    ``keras.layers.Cropping2D``, which takes pairs ((top, bottom), (left, right)); Ronneberger,
    Fischer and Brox, "U-Net", 2015, arXiv:1505.04597.

    Examples
    --------
    >>> from deepfs.layers import Crop2D
    >>> Crop2D((0, 1, 0, 1))(np.arange(9.0).reshape(1, 1, 3, 3))[0, 0]
    array([[0., 1.],
           [3., 4.]])
    """

    cropping: int | tuple[int, int] | tuple[int, int, int, int]

    input_rank = (4,)

    def __post_init__(self) -> None:
        self.cropping = self._sides = sides(self.cropping, "cropping", "")

    def _out_shape(self, in_shape: Shape) -> Shape:
        c, h, w = in_shape
        top, bottom, left, right = self._sides
        if h <= top + bottom or w <= left + right:
            raise ValueError(
                f"{self.label} takes images of more than {top + bottom} rows and {left + right} "
                f"columns, which it cuts off, got {h}x{w}"
            )
        return c, h - top - bottom, w - left - right

    def _forward(self, x: Array, training: bool) -> tuple[Array, Any]:
        self.check_shape(x)
        h, w = x.shape[2:]
        top, bottom, left, right = self._sides
        inside = x[:, :, top : h - bottom, left : w - right]
        return channels_first(inside.transpose(0, 2, 3, 1).copy()), x.shape

    def _backward(self, dy: Array, cache: Any, need_dx: bool) -> Array | None:
        if not need_dx:
            return None
        (n, c, h, w), (top, bottom, left, right) = cache, self._sides
        dx = empty((n, h, w, c), dy.dtype)
        dx[:, :top], dx[:, h - bottom :] = 0, 0
        dx[:, top : h - bottom, :left], dx[:, top : h - bottom, w - right :] = 0, 0
        dx[:, top : h - bottom, left : w - right] = dy.transpose(0, 2, 3, 1)
        return channels_first(dx)
