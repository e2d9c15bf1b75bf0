"""A small MobileNet: depthwise convolutions, each followed by one of 1x1."""

from __future__ import annotations

from .. import layers as L
from .._check import number

BLOCKS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2),
          (1024, 1))  # fmt: skip  # filters and stride, of the paper's table 1


def mobilenet_small(classes: int = 10, dtype: str = "float32", alpha: float = 0.5) -> L.Sequential:
    """Return a small MobileNet: 16 filters, 13 depthwise separable convolutions, mean, classes.

    Parameters
    ----------
    classes : int
        Number of outputs (logits).
    dtype : {"float32", "float64"}
        dtype of parameters and outputs.
    alpha : float
        Share of the paper's filters, above 0, as ``keras.applications.MobileNet`` has it.

    Raises
    ------
    TypeError, ValueError
        If a setting is of the wrong kind or out of range.

    Notes
    -----
    Shapes: ``(n, 3, 32, 32)`` to ``(n, classes)``; 823,722 parameters and 12,167,168 MACs for 10
    classes. Batch norm and ReLU follow each convolution, the depthwise ones too. Unlike the paper,
    the first convolution has stride 1, since images are small. With ``alpha=1`` and 1000 classes
    there are the 4,231,976 learned parameters of ``keras.applications.MobileNet``.

    References
    ----------
    Howard et al., "MobileNets: efficient convolutional neural networks for mobile vision
    applications", 2017, arXiv:1704.04861.

    Examples
    --------
    >>> import numpy as np
    >>> mobilenet_small()(np.zeros((2, 3, 32, 32))).shape
    (2, 10)
    """
    alpha = number(alpha, "alpha", "(0, inf)")

    def wide(filters: int) -> int:
        return max(1, int(alpha * filters))

    def separable(filters: int, stride: int) -> list[L.Layer]:
        return [
            L.DepthwiseConv2D(3, stride, padding=1, bias=False),
            L.BatchNorm(),
            L.ReLU(),
            L.Conv2D(wide(filters), 1, bias=False),
            L.BatchNorm(),
            L.ReLU(),
        ]

    first = [L.Conv2D(wide(32), 3, padding=1, bias=False), L.BatchNorm(), L.ReLU()]
    body = [layer for filters, stride in BLOCKS for layer in separable(filters, stride)]
    head = [L.GlobalAvgPool2D(), L.Dense(classes)]
    return L.Sequential([*first, *body, *head], dtype=dtype)
