"""Nearest-neighbour upsampling. Kernel: ``src/cnn_core/pool.pyx``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cnn_core import pool

from .._arrays import Array, Shape, channels_first, channels_last, empty
from .._check import MAX_EXTENT, pair
from ._base import Layer
from .global_pool import check_pixels


@dataclass(eq=False)
class Upsample2D(Layer):
    r"""Nearest-neighbour upsampling: repeat each row and each column of an image.

    .. math::
        y_{c,i,j} = x_{c,\, \lfloor i / f_h \rfloor,\, \lfloor j / f_w \rfloor}, \quad
        dx_{c,i,j} = \sum_{a < f_h,\, b < f_w} dy_{c,\, i f_h + a,\, j f_w + b}

    Parameters
    ----------
    factor : int or (int, int)
        Copies of each row, and of each column, at least 1.

    Raises
    ------
    ValueError
        If a factor is below 1, or, on call, if the image has no pixels.

    Notes
    -----
    Shapes: ``(n, c, h, w)`` to ``(n, c, h * fh, w * fw)``.
    NumPy reference: `deepfs.reference.upsample2d`.

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
        self.factor = self._factors = pair(self.factor, "factor")

    def _out_shape(self, in_shape: Shape) -> Shape:
        check_pixels(self.label, in_shape)
        (c, h, w), (fh, fw) = in_shape, self._factors
        if max(h * fh, w * fw) > MAX_EXTENT:
            raise ValueError(
                f"{self.label} must give an image of at most {MAX_EXTENT} pixels a side, "
                f"got {h * fh}x{w * fw}"
            )
        return c, h * fh, w * fw

    def _window(self) -> tuple[int, ...]:
        """Return the window of the pooling that adds up the copies of a pixel."""
        return (*self._factors, *self._factors, 0, 0, 0, 0, pool.mean_undivided)

    def _forward(self, x: Array, training: bool) -> tuple[Array, Any]:
        self.check_shape(x)
        (n, c, h, w), (fh, fw) = x.shape, self._factors
        y = empty((n, h * fh, w * fw, c), x.dtype)
        pool.avg_pool2d_backward(channels_last(x), y, *self._window())
        return channels_first(y), x.shape

    def _backward(self, dy: Array, cache: Any, need_dx: bool) -> Array | None:
        if not need_dx:
            return None
        n, c, h, w = cache
        dx = empty((n, h, w, c), dy.dtype)
        pool.avg_pool2d_forward(channels_last(dy), dx, *self._window())
        return channels_first(dx)
