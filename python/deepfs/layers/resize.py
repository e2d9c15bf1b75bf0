"""Resizing of images to a given size. Kernel: ``src/cnn_core/resize.pyx``."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from cnn_core import resize

from .._arrays import Array, Shape, channels_first, channels_last, empty
from .._check import one_of, pair
from ._base import Layer
from .global_pool import check_pixels


@dataclass(eq=False)
class Resize2D(Layer):
    r"""Resizing: give an image any size, by its nearest pixels or by bilinear interpolation.

    .. math::
        y_{c,i,j} = \sum_{a,b} u_{i,a}\, v_{j,b}\, x_{c,a,b}, \quad
        dx_{c,a,b} = \sum_{i,j} u_{i,a}\, v_{j,b}\, dy_{c,i,j}

    Pixels are squares with a centre in the middle, and both images cover the same area: the centre
    of row i lies in row :math:`s = (i + \frac{1}{2}) \frac{h}{oh} - \frac{1}{2}` of the input.

    Parameters
    ----------
    size : int or (int, int)
        Height and width of the output, in pixels.
    method : {"bilinear", "nearest"}
        "bilinear": :math:`u_{i,a} = \max(0, 1 - |s - a|)`, with s at least 0 and at most h - 1.
        "nearest": the pixel in which the centre lies; on the line between two, the later one.

    Raises
    ------
    TypeError, ValueError
        If a setting is of the wrong kind or out of range; ValueError on call, if the image has no
        pixels.

    Notes
    -----
    Shapes: ``(n, c, h, w)`` to ``(n, c, *size)``, for images of any size. Made much smaller, most
    pixels of an image are skipped: `AdaptiveAvgPool2D` takes means of all. To enlarge by whole
    factors, `Upsample2D` is the same as "nearest".
    NumPy reference: `deepfs.reference.resize2d`.

    References
    ----------
    ``keras.layers.Resizing``; ``torch.nn.functional.interpolate`` with ``align_corners=False`` and
    its modes "bilinear" and "nearest-exact".

    Examples
    --------
    >>> from deepfs.layers import Resize2D
    >>> Resize2D((1, 4))(np.array([[[[0.0, 1.0]]]]))
    array([[[[0.  , 0.25, 0.75, 1.  ]]]])
    """

    size: int | tuple[int, int]
    method: str = "bilinear"

    input_rank = (4,)

    def __post_init__(self) -> None:
        self.size = self._size = pair(self.size, "size")
        one_of(self.method, "method", ("bilinear", "nearest"))

    def _out_shape(self, in_shape: Shape) -> Shape:
        check_pixels(self.label, in_shape)
        return in_shape[0], *self._size

    def _axes(self, shape: Shape, dtype: np.dtype[Any]) -> tuple[Axis, Axis]:
        """Return how the rows of images of ``shape`` are resized, and how the columns."""
        (_, _, h, w), (oh, ow) = shape, self._size
        return axis(h, oh, self.method, dtype.char), axis(w, ow, self.method, dtype.char)

    def _forward(self, x: Array, training: bool) -> tuple[Array, Any]:
        self.check_shape(x)
        rows, columns = axes = self._axes(x.shape, x.dtype)
        y = empty((len(x), *self._size, x.shape[1]), x.dtype)
        resize.resample(channels_last(x), y, *rows.taps, *columns.taps)
        return channels_first(y), (x.shape, axes)

    def _backward(self, dy: Array, cache: Any, need_dx: bool) -> Array | None:
        if not need_dx:
            return None
        (n, c, h, w), (rows, columns) = cache
        dx = empty((n, h, w, c), dy.dtype)
        resize.resample(channels_last(dy), dx, *rows.transposed, *columns.transposed)
        return channels_first(dx)


class Taps(NamedTuple):
    """For each output position, the input positions that it needs, and their weights."""

    spans: Array  # (positions, 2): begin and end
    weights: Array  # (positions, most): from the begin on, then zeros


class Axis(NamedTuple):
    """How an axis is resized, and how its gradient is."""

    taps: Taps
    transposed: Taps


@lru_cache(maxsize=64)  # a layer asks in each step, with the same arguments
def axis(size: int, out: int, method: str, dtype: str) -> Axis:
    """Return the taps of an axis of ``size`` positions resized to ``out``."""
    i, number = np.arange(out), np.dtype(dtype).type
    if method == "nearest":
        begin, counts = (2 * i + 1) * size // (2 * out), np.ones(out, np.intp)
        weights = np.ones((out, 1), dtype)
    else:  # s as a fraction of whole numbers, so that no rounding moves a centre
        begin, part = np.divmod(np.maximum((2 * i + 1) * size - out, 0), 2 * out)
        part[begin >= size - 1] = 0
        begin = np.minimum(begin, size - 1)
        far = (part / (2 * out)).astype(dtype)
        counts, weights = 1 + (part > 0), np.stack([number(1) - far, far], axis=1)
    taps = Taps(np.stack([begin, begin + counts], axis=1).astype(np.intp), weights)
    return Axis(taps, transposed(taps, counts, size))


def transposed(taps: Taps, counts: Array, size: int) -> Taps:
    """Return the taps of the gradient: the outputs that each input goes to are neighbours."""
    out, column = np.nonzero(np.arange(taps.weights.shape[1]) < counts[:, None])
    inputs, weights = taps.spans[out, 0] + column, taps.weights[out, column]
    uses = np.bincount(inputs, minlength=size)
    first = np.full(size, len(counts), np.intp)
    np.minimum.at(first, inputs, out)
    first[uses == 0] = 0
    table = np.zeros((size, int(uses.max())), weights.dtype)
    table[inputs, out - first[inputs]] = weights
    return Taps(np.stack([first, first + uses], axis=1), table)
