"""Nearest-neighbour upsampling of sequences. Kernel: that of `Upsample2D`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cnn_core import pool

from .._arrays import Array, Shape, channels_first, channels_last, empty
from .._check import MAX_EXTENT, whole
from ._base import Layer
from .global_pool import check_pixels


@dataclass(eq=False)
class Upsample1D(Layer):
    r"""Nearest-neighbour upsampling: repeat each entry of a sequence.

    .. math::
        y_{c,i} = x_{c,\, \lfloor i / f \rfloor}, \quad dx_{c,i} = \sum_{a < f} dy_{c,\, i f + a}

    Parameters
    ----------
    factor : int
        Copies of each entry, at least 1.

    Raises
    ------
    TypeError, ValueError
        If the factor is no int or below 1; ValueError on call, if the sequence has no entries.

    Notes
    -----
    Shapes: ``(n, c, l)`` to ``(n, c, l * factor)``.
    NumPy reference: `deepfs.reference.upsample1d`.

    References
    ----------
    ``torch.nn.Upsample``, ``keras.layers.UpSampling1D``.

    Examples
    --------
    >>> from deepfs.layers import Upsample1D
    >>> Upsample1D(3)(np.array([[[1.0, 2.0]]]))
    array([[[1., 1., 1., 2., 2., 2.]]])
    """

    factor: int

    input_rank = (3,)

    def __post_init__(self) -> None:
        self.factor = whole(self.factor, "factor", most=MAX_EXTENT)

    def _out_shape(self, in_shape: Shape) -> Shape:
        check_pixels(self.label, in_shape)
        c, length = in_shape
        if length * self.factor > MAX_EXTENT:
            raise ValueError(
                f"{self.label} must give a sequence of at most {MAX_EXTENT} entries, "
                f"got {length * self.factor}"
            )
        return c, length * self.factor

    def _window(self) -> tuple[int, ...]:
        """Return the window of the pooling that adds up the copies of an entry."""
        return (1, self.factor, 1, self.factor, 0, 0, 0, 0, pool.mean_undivided)

    def _forward(self, x: Array, training: bool) -> tuple[Array, Any]:
        self.check_shape(x)
        n, c, length = x.shape
        y = empty((n, 1, length * self.factor, c), x.dtype)
        pool.avg_pool2d_backward(channels_last(x[:, :, None]), y, *self._window())
        return channels_first(y)[:, :, 0], x.shape

    def _backward(self, dy: Array, cache: Any, need_dx: bool) -> Array | None:
        if not need_dx:
            return None
        n, c, length = cache
        dx = empty((n, 1, length, c), dy.dtype)
        pool.avg_pool2d_forward(channels_last(dy[:, :, None]), dx, *self._window())
        return channels_first(dx)[:, :, 0]
