"""A small DenseNet: each layer sees the outputs of all layers before it in its block."""

from __future__ import annotations

from .. import layers as L


def densenet_small(classes: int = 10, dtype: str = "float32") -> L.Sequential:
    """Return DenseNet-BC of 40 layers, growth 12: 24 filters, 3 blocks of 6 steps, mean, classes.

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
    Shapes: ``(n, 3, 32, 32)`` to ``(n, classes)``; 176,122 parameters and 72,365,352 MACs for 10
    classes. A step of a block is batch norm, ReLU, 48 filters 1x1, batch norm, ReLU, 12 filters
    3x3, whose output is appended to its input. Between blocks, a 1x1 convolution halves the
    channels, and average pooling the sides.

    References
    ----------
    Huang, Liu, van der Maaten and Weinberger, "Densely connected convolutional networks", 2016,
    arXiv:1608.06993, the settings of CIFAR with bottlenecks and compression.

    Examples
    --------
    >>> import numpy as np
    >>> densenet_small()(np.zeros((2, 3, 32, 32))).shape
    (2, 10)
    """
    growth, steps, channels = 12, 6, 24

    def conv(filters: int, size: int) -> list[L.Layer]:
        return [
            L.BatchNorm(),
            L.ReLU(),
            L.Conv2D(filters, size, padding=size // 2, bias=False),
        ]

    def step() -> L.Layer:
        new = L.Sequential([*conv(4 * growth, 1), *conv(growth, 3)], name="new")
        return L.Branches([L.Identity(), new])

    parts: list[L.Layer] = [L.Conv2D(channels, 3, padding=1, bias=False)]
    for block in range(3):
        parts += [step() for _ in range(steps)]
        channels += steps * growth
        if block < 2:
            channels //= 2
            parts += [*conv(channels, 1), L.AvgPool2D(2)]
    head = [L.BatchNorm(), L.ReLU(), L.GlobalAvgPool2D(), L.Dense(classes)]
    return L.Sequential([*parts, *head], dtype=dtype)
