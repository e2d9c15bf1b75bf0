"""A small U-Net: a class for each pixel."""

from __future__ import annotations

from typing import Any

from .. import layers as L
from .._check import whole


def unet_small(classes: int = 10, dtype: str = "float32", channels: int = 1) -> L.Graph:
    """Return a small U-Net: 16-32-64 channels down, 32-16 up, with connections across.

    Parameters
    ----------
    classes : int
        Number of outputs (logits) of each pixel.
    dtype : {"float32", "float64"}
        dtype of parameters and outputs.
    channels : int
        Number of channels of an image.

    Raises
    ------
    TypeError, ValueError
        If a setting is of the wrong kind or out of range.

    Notes
    -----
    Shapes: ``(n, channels, h, w)`` to ``(n, classes, h, w)``, sides multiples of 4; for
    `losses.CrossEntropy` labels ``(n, h, w)``. For 10 classes and 1 channel 117,226 parameters, and
    24,952,832 MACs at 32x32. On each of three levels there are two 3x3 convolutions; max pooling
    leads down, a transposed 2x2 convolution up, where the level's own output is concatenated.
    Unlike the paper, convolutions are padded, so that images keep their size, batch norm follows
    each, and there are three levels instead of five, a quarter as wide.

    References
    ----------
    Ronneberger, Fischer and Brox, "U-Net: convolutional networks for biomedical image
    segmentation", 2015, arXiv:1505.04597.

    Examples
    --------
    >>> import numpy as np
    >>> unet_small(classes=2, channels=3)(np.zeros((2, 3, 48, 64))).shape
    (2, 2, 48, 64)
    """

    def level(x: Any, filters: int) -> Any:
        for _ in range(2):
            x = L.Conv2D(filters, 3, padding=1, bias=False)(x)
            x = L.ReLU()(L.BatchNorm()(x))
        return x

    image = x = L.Input((whole(channels, "channels"), 32, 32), "image")
    across = []
    for filters in (16, 32):
        x = level(x, filters)
        across.append(x)
        x = L.MaxPool2D(2)(x)
    x = level(x, 64)
    for filters in (32, 16):
        x = L.ConvTranspose2D(filters, 2, 2)(x)
        x = level(L.Concat()([across.pop(), x]), filters)
    return L.Graph(image, L.Conv2D(classes, 1)(x), dtype=dtype)
