"""A small AlexNet: its eight layers, a quarter as wide, for small images."""

from __future__ import annotations

from .. import layers as L


def alexnet_small(classes: int = 10, dtype: str = "float32") -> L.Sequential:
    """Return a small AlexNet: 24-pool-64-pool-96-96-64-pool, 256, 256, classes, with ReLU.

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
    Shapes: ``(n, 3, 32, 32)`` to ``(n, classes)``; 450,154 parameters and 20,182,016 MACs for 10
    classes. As in the paper, there are five convolutions and three dense layers, windows of pooling
    overlap (3x3, stride 2), and dropout of 0.5 stands before the first two dense layers. Filters
    are a quarter as many; the first two windows are 5x5 at stride 1, since images are small.
    Unlike the paper, there is no local response normalization, no pair of groups for two GPUs, and
    weights start as `deepfs.initializers.HeNormal`.

    References
    ----------
    Krizhevsky, Sutskever and Hinton, "ImageNet classification with deep convolutional neural
    networks", 2012.

    Examples
    --------
    >>> import numpy as np
    >>> alexnet_small()(np.zeros((5, 3, 32, 32))).shape
    (5, 10)
    """

    def conv(filters: int, size: int) -> list[L.Layer]:
        return [L.Conv2D(filters, size, padding="same"), L.ReLU()]

    def pool() -> L.Layer:
        return L.MaxPool2D(3, 2)

    def dense() -> list[L.Layer]:
        return [L.Dropout(0.5), L.Dense(256), L.ReLU()]

    features = [*conv(24, 5), pool(), *conv(64, 5), pool(), *conv(96, 3), *conv(96, 3)]
    head = [L.Flatten(), *dense(), *dense(), L.Dense(classes)]
    return L.Sequential([*features, *conv(64, 3), pool(), *head], dtype=dtype)
