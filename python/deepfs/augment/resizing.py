"""Progressive resizing: smaller images in the first epochs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from cnn_core import resize

from .._arrays import Array, Shape, channels_first, channels_last, empty
from .._check import number, whole
from .._settings import ExplainedSettings


@dataclass
class ProgressiveResizing(ExplainedSettings):
    r"""Progressive resizing: train on smaller images in the first epochs, which takes less time.

    .. math:: h_e = \min\left(h,\; d \max\left(1, \left\lfloor \frac{h\, s_e}{d} + \frac{1}{2}
        \right\rfloor\right)\right), \quad s_e = s + (1 - s) \frac{e}{E} \quad \text{for } e < E

    From epoch E on, :math:`h_e = h`. The width follows the same formula.

    Parameters
    ----------
    epochs : int
        E, the number of epochs with smaller images, at least 1.
    initial_scale : float
        s, the side in epoch 0 as a share of the whole one, in (0, 1].
    size_increment : int
        d, of which heights and widths are multiples, in pixels, at least 1.

    Raises
    ------
    TypeError, ValueError
        If a setting is of the wrong kind or out of range. Before the first step, if the network
        does not take images of any size, or returns outputs of another shape for smaller ones.

    Notes
    -----
    It stands behind all other transforms but `MixUp` and `CutMix`, and comes after the
    preprocessing. Each pixel is a mean over those that it covers, with triangular weights (as
    Pillow's bilinear resize, and ``antialias=True`` in torchvision). The epochs are those of one
    call of `fit`; validation has images of full size. Networks need a layer such as
    `deepfs.layers.GlobalAvgPool2D` before the first dense one. NumPy reference:
    `deepfs.reference.shrink`.

    References
    ----------
    Howard et al., "Training ImageNet in 3 hours for $40" (fast.ai, 2018). Names of settings:
    ``ProgressiveResizing`` of MosaicML's Composer.

    Examples
    --------
    >>> ProgressiveResizing(4).size(32, 32, epoch=0)
    (16, 16)
    >>> [ProgressiveResizing(4).size(28, 32, epoch)[0] for epoch in range(5)]
    [16, 16, 20, 24, 28]
    """

    epochs: int
    initial_scale: float = 0.5
    size_increment: int = 4

    def __post_init__(self) -> None:
        self.epochs = whole(self.epochs, "epochs")
        self.initial_scale = number(self.initial_scale, "initial_scale", "(0, 1]")
        self.size_increment = whole(self.size_increment, "size_increment")

    def size(self, height: int, width: int, epoch: int) -> tuple[int, int]:
        """Return height and width of images in an epoch, counted from 0."""
        if epoch >= self.epochs:
            return height, width
        scale = self.initial_scale + (1 - self.initial_scale) * epoch / self.epochs
        d = self.size_increment
        h, w = (min(side, d * max(1, int(side * scale / d + 0.5))) for side in (height, width))
        return h, w

    def sizes(self, shape: Shape) -> list[Shape]:
        """Return the shapes that images (c, h, w) of this shape get, each once, without that."""
        c, h, w = shape
        found = [(c, *self.size(h, w, epoch)) for epoch in range(self.epochs)]
        return [each for each in dict.fromkeys(found) if each != tuple(shape)]

    def resized(self, x: Array, epoch: int) -> Array:
        """Return images (n, c, h, w) of an epoch."""
        h, w = x.shape[2:]
        size = self.size(h, w, epoch)
        if size == (h, w):
            return x
        rows, columns = (taps(a, b, x.dtype.char) for a, b in zip((h, w), size, strict=True))
        y = empty((len(x), *size, x.shape[1]), x.dtype)
        resize.resample(channels_last(x), y, *rows, *columns)
        return channels_first(y)


@lru_cache(maxsize=16)  # each batch of an epoch asks for the same
def taps(size: int, out: int, dtype: str) -> tuple[Array, Array]:
    """Return begin and end of the pixels that each of ``out`` covers, and their weights.

    The weights of pixel i are those of a triangle as wide as two of its pixels, max(0, 1 - |t|)
    with t the distance of the centres in pixels of the output; their sum is 1.
    """
    scale = size / out
    centres = (np.arange(out) + 0.5) * scale - 0.5
    distance = abs(centres[:, None] - np.arange(size)) / scale
    weights = np.maximum(0, 1 - distance)
    weights /= weights.sum(axis=1, keepdims=True)
    begin = (weights > 0).argmax(axis=1)
    counts = np.count_nonzero(weights, axis=1)
    table = np.zeros((out, int(counts.max())), dtype)
    for i, (first, count) in enumerate(zip(begin, counts, strict=True)):
        table[i, :count] = weights[i, first : first + count]
    return np.stack([begin, begin + counts], axis=1).astype(np.intp), table
