"""A plain stack of 3x3 convolutions for small images, in the manner of VGG."""

from __future__ import annotations

from .. import layers as L


def vgg_small(classes: int = 10, dtype: str = "float32") -> L.Sequential:
    """Return 64-64-pool-128-128-pool-256-256-pool, 3x3 with batch norm and ReLU, mean, classes.

    Parameters
    ----------
    classes : int
        Length of an output: logits.
    dtype : {"float32", "float64"}
        Of parameters and results.

    Notes
    -----
    Shapes: ``(n, 3, 32, 32)`` to ``(n, classes)``; 1,148,874 parameters for 10 classes. Batch norm,
    and the global mean instead of two wide dense layers, are not in the paper.

    References
    ----------
    Simonyan and Zisserman, "Very deep convolutional networks for large-scale image recognition",
    2014, arXiv:1409.1556.

    Examples
    --------
    >>> import numpy as np
    >>> vgg_small()(np.zeros((5, 3, 32, 32))).shape
    (5, 10)
    """

    def conv(filters: int) -> list[L.Layer]:
        return [L.Conv2D(filters, 3, padding=1, bias=False), L.BatchNorm(), L.ReLU()]

    def block(filters: int) -> list[L.Layer]:
        return [*conv(filters), *conv(filters), L.MaxPool2D(2)]

    head = [L.GlobalAvgPool2D(), L.Dense(classes)]
    return L.Sequential([*block(64), *block(128), *block(256), *head], dtype=dtype)
