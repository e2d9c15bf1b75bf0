"""A small VGG: a stack of 3x3 convolutions for small images."""

from __future__ import annotations

from .. import layers as L


def vgg_small(classes: int = 10, dtype: str = "float32") -> L.Sequential:
    """Return a small VGG: 64-64-pool-128-128-pool-256-256-pool, all 3x3, mean, classes.

    Parameters
    ----------
    classes : int
        Number of outputs (logits).
    dtype : {"float32", "float64"}
        dtype of parameters and outputs.

    Raises
    ------
    TypeError, ValueError
        If a setting is of the wrong kind or out of range.

    Notes
    -----
    Shapes: ``(n, 3, 32, 32)`` to ``(n, classes)``; 1,148,874 parameters and 152,766,976 MACs for 10
    classes. Batch norm and ReLU follow each convolution. Unlike the paper, there is batch norm, and
    a global mean in place of two wide dense layers.

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
