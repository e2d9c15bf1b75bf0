"""DeepConvNet, the deep convolutional network of Saitoh's textbook."""

from __future__ import annotations

from .. import layers as L


def deep_convnet(classes: int = 10, dtype: str = "float32") -> L.Sequential:
    """Return DeepConvNet: 16-16-pool-32-32-pool-64-64-pool, all 3x3 with ReLU, 50, classes.

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
    Shapes: ``(n, 1, 28, 28)`` to ``(n, classes)``; 123,552 parameters and 8,772,340 MACs for 10
    classes. The fourth convolution pads by 2, and dropout of 0.5 follows both dense layers, also
    the last one, as in the textbook.

    References
    ----------
    Saitoh, "Deep Learning from Scratch", 2016, chapter 8.

    Examples
    --------
    >>> import numpy as np
    >>> deep_convnet()(np.zeros((5, 1, 28, 28))).shape
    (5, 10)
    """

    def block(filters: int, second_padding: int) -> list[L.Layer]:
        return [
            L.Conv2D(filters, 3, padding=1),
            L.ReLU(),
            L.Conv2D(filters, 3, padding=second_padding),
            L.ReLU(),
            L.MaxPool2D(2),
        ]

    head = [L.Flatten(), L.Dense(50), L.ReLU(), L.Dropout(0.5), L.Dense(classes), L.Dropout(0.5)]
    return L.Sequential([*block(16, 1), *block(32, 2), *block(64, 1), *head], dtype=dtype)
