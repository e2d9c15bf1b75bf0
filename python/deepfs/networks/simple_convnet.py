"""The first convolutional network of the textbook."""

from __future__ import annotations

from .. import layers as L
from ..initializers import Normal


def simple_convnet(classes: int = 10, dtype: str = "float32") -> L.Sequential:
    """Return SimpleConvNet: 30 filters 5x5, ReLU, max pooling 2, 100 units, ReLU, classes.

    Parameters
    ----------
    classes : int
        Length of an output: logits.
    dtype : {"float32", "float64"}
        Of parameters and results.

    References
    ----------
    Saitoh, "Deep Learning from Scratch", 2016, chapter 7: its weights too, normal numbers of
    standard deviation 0.01.

    Examples
    --------
    >>> import numpy as np
    >>> simple_convnet()(np.zeros((5, 1, 28, 28))).shape
    (5, 10)
    """
    small = Normal(0.01)
    return L.Sequential(
        [
            L.Conv2D(30, 5, initializer=small),
            L.ReLU(),
            L.MaxPool2D(2),
            L.Flatten(),
            L.Dense(100, initializer=small),
            L.ReLU(),
            L.Dense(classes, initializer=small),
        ],
        dtype=dtype,
    )
