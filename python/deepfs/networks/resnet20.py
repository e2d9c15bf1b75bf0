"""The residual network of 20 layers for small images."""

from __future__ import annotations

from .. import layers as L


def resnet20(classes: int = 10, dtype: str = "float32") -> L.Sequential:
    """Return ResNet-20: 16 filters, then 3 residual blocks each of 16, 32 and 64, mean, classes.

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
    Shapes: ``(n, 3, 32, 32)`` to ``(n, classes)``; 272,474 parameters for 10 classes. A block is
    two 3x3 convolutions with batch norm. Where the number of filters doubles, the first convolution
    has stride 2 and the shortcut is a 1x1 convolution with batch norm: option B of the paper. (The
    paper's results on CIFAR use option A, zeros for the new channels: 269,722 parameters.)

    References
    ----------
    He, Zhang, Ren and Sun, "Deep residual learning for image recognition", 2015, arXiv:1512.03385,
    section 4.2.

    Examples
    --------
    >>> import numpy as np
    >>> resnet20()(np.zeros((5, 3, 32, 32))).shape
    (5, 10)
    """

    def conv(filters: int, stride: int = 1) -> list[L.Layer]:
        return [L.Conv2D(filters, 3, stride, padding=1, bias=False), L.BatchNorm()]

    def block(filters: int, stride: int = 1) -> list[L.Layer]:
        body = L.Sequential([*conv(filters, stride), L.ReLU(), *conv(filters)])
        shortcut = None
        if stride > 1:
            shortcut = L.Sequential([L.Conv2D(filters, 1, stride, bias=False), L.BatchNorm()])
        return [L.Residual(body, shortcut), L.ReLU()]

    def stage(filters: int, stride: int) -> list[L.Layer]:
        return [*block(filters, stride), *block(filters), *block(filters)]

    body = [*stage(16, 1), *stage(32, 2), *stage(64, 2)]
    head = [L.GlobalAvgPool2D(), L.Dense(classes)]
    return L.Sequential([*conv(16), L.ReLU(), *body, *head], dtype=dtype)
