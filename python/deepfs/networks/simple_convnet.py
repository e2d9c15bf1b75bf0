"""SimpleConvNet, the first convolutional network of Saitoh's textbook."""

from __future__ import annotations

from .. import layers as L
from ..initializers import Normal


def simple_convnet(classes: int = 10, dtype: str = "float32") -> L.Sequential:
    """Return SimpleConvNet: 30 filters 5x5, ReLU, max pooling 2, 100 units, ReLU, classes.

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
    Shapes: ``(n, c, h, w)``, 28x28 in the textbook, to ``(n, classes)``; there 433,890 parameters
    and 865,000 MACs for 10 classes. Weights start as normal numbers of standard deviation 0.01, as
    in the textbook.

    References
    ----------
    Saitoh, "Deep Learning from Scratch", 2016, chapter 7.

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
