"""Cropping of sequences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .._arrays import Array, Shape, channels_first, empty
from .._check import pair
from ._base import Layer


@dataclass(eq=False)
class Crop1D(Layer):
    r"""Cropping: cut entries off both ends of a sequence.

    .. math:: y_{c,i} = x_{c,\, i + left}

    Parameters
    ----------
    cropping : int or (left, right)
        Entries to cut off at the ends, at least 0.

    Raises
    ------
    TypeError, ValueError
        If a number is not an int, or negative; ValueError on call, if nothing of the sequence is
        left.

    Notes
    -----
    Shapes: ``(n, c, l)`` to ``(n, c, l - left - right)``.
    The gradient of what is cut off is 0. NumPy reference: `deepfs.reference.crop1d`.

    References
    ----------
    ``keras.layers.Cropping1D``.

    Examples
    --------
    >>> from deepfs.layers import Crop1D
    >>> Crop1D((1, 2))(np.arange(5.0).reshape(1, 1, 5))
    array([[[1., 2.]]])
    """

    cropping: int | tuple[int, int]

    input_rank = (3,)

    def __post_init__(self) -> None:
        self.cropping = self._ends = pair(self.cropping, "cropping", 0)

    def _out_shape(self, in_shape: Shape) -> Shape:
        c, length = in_shape
        if length <= sum(self._ends):
            raise ValueError(
                f"{self.label} takes sequences of more than {sum(self._ends)} entries, which it "
                f"cuts off, got {length}"
            )
        return c, length - sum(self._ends)

    def _forward(self, x: Array, training: bool) -> tuple[Array, Any]:
        self.check_shape(x)
        left, right = self._ends
        inside = x[:, :, left : x.shape[2] - right]
        return channels_first(inside.transpose(0, 2, 1).copy()), x.shape

    def _backward(self, dy: Array, cache: Any, need_dx: bool) -> Array | None:
        if not need_dx:
            return None
        (n, c, length), (left, right) = cache, self._ends
        dx = empty((n, length, c), dy.dtype)
        dx[:, :left], dx[:, length - right :] = 0, 0
        dx[:, left : length - right] = dy.transpose(0, 2, 1)
        return channels_first(dx)
