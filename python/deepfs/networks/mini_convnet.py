"""A small network with batch normalisation, for few images."""

from __future__ import annotations

from .. import layers as L


def mini_convnet(classes: int = 10, dtype: str = "float32") -> L.Sequential:
    """Return 16-pool-32-pool-64, all 3x3 with batch norm and ReLU, then dropout and classes.

    Made for `deepfs.datasets.mnist_mini`: batch normalisation lets it learn from 5,000 images in
    seconds.

    Parameters
    ----------
    classes : int
        Length of an output: logits.
    dtype : {"float32", "float64"}
        Of parameters and results.

    Examples
    --------
    >>> import numpy as np
    >>> mini_convnet()(np.zeros((5, 1, 28, 28))).shape
    (5, 10)
    """

    def block(filters: int) -> list[L.Layer]:
        return [L.Conv2D(filters, 3, padding=1, bias=False), L.BatchNorm(), L.ReLU()]

    return L.Sequential(
        [
            *block(16),
            L.MaxPool2D(2),
            *block(32),
            L.MaxPool2D(2),
            *block(64),
            L.Flatten(),
            L.Dropout(0.3),
            L.Dense(classes),
        ],
        dtype=dtype,
    )
