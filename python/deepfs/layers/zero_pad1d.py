"""Zero padding of sequences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .._arrays import Array, Shape, channels_first, empty
from .._check import pair
from ._base import Layer


@dataclass(eq=False)
class ZeroPad1D(Layer):
    """Zero padding: put zeros at both ends of a sequence.

    Parameters
    ----------
    padding : int or (left, right)
        Zeros at the ends, at least 0. The ``padding`` of a convolution or pooling is faster.

    Raises
    ------
    TypeError, ValueError
        If a number is not an int, or negative. (PyTorch crops then: see `Crop1D`.)

    Notes
    -----
    Shapes: ``(n, c, l)`` to ``(n, c, l + left + right)``.
    The gradient of the zeros is dropped. NumPy reference: `deepfs.reference.zero_pad1d`.

    References
    ----------
    ``keras.layers.ZeroPadding1D``, ``torch.nn.ZeroPad1d``.

    Examples
    --------
    >>> from deepfs.layers import ZeroPad1D
    >>> ZeroPad1D((1, 2))(np.ones((1, 1, 2)))
    array([[[0., 1., 1., 0., 0.]]])
    """

    padding: int | tuple[int, int]

    input_rank = (3,)

    def __post_init__(self) -> None:
        self.padding = self._ends = pair(self.padding, "padding", 0)

    def _out_shape(self, in_shape: Shape) -> Shape:
        c, length = in_shape
        return c, length + sum(self._ends)

    def _forward(self, x: Array, training: bool) -> tuple[Array, Any]:
        self.check_shape(x)
        n, c, length = x.shape
        left, right = self._ends
        y = empty((n, left + length + right, c), x.dtype)
        y[:, :left], y[:, left + length :] = 0, 0
        y[:, left : left + length] = x.transpose(0, 2, 1)
        return channels_first(y), length

    def _backward(self, dy: Array, cache: Any, need_dx: bool) -> Array | None:
        if not need_dx:
            return None
        left = self._ends[0]
        inside = dy[:, :, left : left + cache]
        return channels_first(inside.transpose(0, 2, 1).copy())
