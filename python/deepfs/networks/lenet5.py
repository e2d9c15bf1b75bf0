"""LeNet-5, the first convolutional network in wide use."""

from __future__ import annotations

from .. import layers as L


def lenet5(classes: int = 10, dtype: str = "float32") -> L.Sequential:
    """Return LeNet-5: 6-pool-16-pool, 5x5, 120, 84, classes, with sigmoids and average pooling.

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
    Shapes: ``(n, 1, 28, 28)`` to ``(n, classes)``; 61,706 parameters and 416,520 MACs for 10
    classes. The first convolution pads by 2, since the paper's images were 32x32. As usual today,
    every filter uses all channels of its input, the sigmoid is the logistic function, pooling has
    no weights, and the last layer is dense. Weights start as `deepfs.initializers.GlorotUniform`,
    made for sigmoids.

    References
    ----------
    LeCun, Bottou, Bengio and Haffner, "Gradient-based learning applied to document recognition",
    1998.

    Examples
    --------
    >>> import numpy as np
    >>> lenet5()(np.zeros((5, 1, 28, 28))).shape
    (5, 10)
    """
    glorot = "glorot_uniform"
    return L.Sequential(
        [
            L.Conv2D(6, 5, padding=2, initializer=glorot),
            L.Sigmoid(),
            L.AvgPool2D(2),
            L.Conv2D(16, 5, initializer=glorot),
            L.Sigmoid(),
            L.AvgPool2D(2),
            L.Flatten(),
            L.Dense(120, initializer=glorot),
            L.Sigmoid(),
            L.Dense(84, initializer=glorot),
            L.Sigmoid(),
            L.Dense(classes, initializer=glorot),
        ],
        dtype=dtype,
    )
