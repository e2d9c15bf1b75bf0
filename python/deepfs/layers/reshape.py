"""Reshape: samples in another shape."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

from .._arrays import Array, Shape
from .._check import whole
from ._base import Layer


@dataclass(eq=False)
class Reshape(Layer):
    """Reshape layer: each sample in another shape, in logical order.

    Parameters
    ----------
    shape : int or tuple of int
        Shape of a sample, without the batch axis. One entry may be -1: it follows from the others.

    Raises
    ------
    TypeError, ValueError
        If an entry is neither a positive int nor the only -1; ValueError on call, if the sample has
        another number of entries.

    Notes
    -----
    Shapes: ``(n, ...)`` to ``(n, *shape)``. As for `Flatten`, images count as ``(c, h, w)``,
    whatever their order in memory. NumPy reference: `deepfs.reference.reshape`.

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
        self._shape = tuple(whole(entry, "each entry of shape", -1) for entry in given)
        self.shape = self._shape
        if 0 in self._shape or self._shape.count(-1) > 1:
            raise ValueError(
                f"shape must have positive entries, and -1 at most once, got {self.shape}"
            )

    def _out_shape(self, in_shape: Shape) -> Shape:
        shape = self._shape
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
