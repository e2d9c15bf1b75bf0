"""Zero padding of images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .._arrays import Array, Shape, channels_first, empty
from .._check import sides
from ._base import Layer


@dataclass(eq=False)
class ZeroPad2D(Layer):
    """Zero padding: put rows and columns of zeros around an image.

    Parameters
    ----------
    padding : int, (int, int) or (top, bottom, left, right)
        Rows and columns of zeros, at least 0. Of two numbers, the first is for top and bottom, the
        second for left and right. The ``padding`` of a convolution or pooling is faster.

    Raises
    ------
    TypeError, ValueError
        If a number is not an int, or negative. (PyTorch crops then: see `Crop2D`.)

    Notes
    -----
    Shapes: ``(n, c, h, w)`` to ``(n, c, h + top + bottom, w + left + right)``.
    The gradient of the zeros is dropped. NumPy reference: `deepfs.reference.zero_pad2d`.

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
        self.padding = self._sides = sides(self.padding)

    def _out_shape(self, in_shape: Shape) -> Shape:
        c, h, w = in_shape
        top, bottom, left, right = self._sides
        return c, h + top + bottom, w + left + right

    def _forward(self, x: Array, training: bool) -> tuple[Array, Any]:
        self.check_shape(x)
        n, c, h, w = x.shape
        top, bottom, left, right = self._sides
        y = empty((n, h + top + bottom, w + left + right, c), x.dtype)
        y[:, :top], y[:, top + h :] = 0, 0
        y[:, top : top + h, :left], y[:, top : top + h, left + w :] = 0, 0
        y[:, top : top + h, left : left + w] = x.transpose(0, 2, 3, 1)
        return channels_first(y), (h, w)

    def _backward(self, dy: Array, cache: Any, need_dx: bool) -> Array | None:
        if not need_dx:
            return None
        (h, w), (top, _, left, _) = cache, self._sides
        inside = dy[:, :, top : top + h, left : left + w]
        return channels_first(inside.transpose(0, 2, 3, 1).copy())
