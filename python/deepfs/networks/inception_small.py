"""A small Inception: windows of two sizes side by side."""

from __future__ import annotations

from .. import layers as L


def inception_small(classes: int = 10, dtype: str = "float32") -> L.Sequential:
    """Return a small Inception: 96 filters, 2, 4 and 2 Inception modules, mean, classes.

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
    Shapes: ``(n, 3, h, w)``, 28x28 in the paper, to ``(n, classes)``; 1,651,114 parameters for 10
    classes, and 176,297,504 MACs at 28x28. A module is convolutions of 1x1 and of 3x3 side by
    side, whose outputs are concatenated; to halve the sides, a 3x3 convolution and max pooling of
    stride 2 are. Batch norm and ReLU follow each convolution. (The paper counts 1,649,402: one
    number per filter beside the weights, where gamma and beta are two.)

    References
    ----------
    Zhang, Bengio, Hardt, Recht and Vinyals, "Understanding deep learning requires rethinking
    generalization", 2016, arXiv:1611.03530, appendix A, after Szegedy et al., "Going deeper with
    convolutions", 2014, arXiv:1409.4842.

    Examples
    --------
    >>> import numpy as np
    >>> inception_small()(np.zeros((2, 3, 28, 28))).shape
    (2, 10)
    """

    def conv(filters: int, size: int, stride: int = 1) -> list[L.Layer]:
        padding = size // 2 if stride == 1 else 0
        return [
            L.Conv2D(filters, size, stride, padding=padding, bias=False),
            L.BatchNorm(),
            L.ReLU(),
        ]

    def inception(one: int, three: int) -> L.Layer:
        return L.Branches([
            L.Sequential(conv(one, 1), name="1x1"), L.Sequential(conv(three, 3), name="3x3"),
        ])  # fmt: skip

    def down(filters: int) -> L.Layer:
        return L.Branches([L.Sequential(conv(filters, 3, 2), name="3x3"), L.MaxPool2D(3, 2)])

    return L.Sequential(
        [
            *conv(96, 3),
            inception(32, 32),
            inception(32, 48),
            down(80),
            inception(112, 48),
            inception(96, 64),
            inception(80, 80),
            inception(48, 96),
            down(96),
            inception(176, 160),
            inception(176, 160),
            L.GlobalAvgPool2D(),
            L.Dense(classes),
        ],
        dtype=dtype,
    )
