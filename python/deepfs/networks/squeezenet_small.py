"""SqueezeNet for small images: layers that squeeze the channels before each 3x3 convolution."""

from __future__ import annotations

from .. import layers as L


def squeezenet_small(classes: int = 10, dtype: str = "float32") -> L.Sequential:
    """Return a SqueezeNet: 64-pool-2 fires-pool-2 fires-pool-4 fires, classes, mean.

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
    Shapes: ``(n, 3, 32, 32)`` to ``(n, classes)``; 727,626 parameters and 23,511,040 MACs for 10
    classes. The fire modules are those of version 1.1: a 1x1 convolution to few channels, then
    convolutions of 1x1 and 3x3 side by side. Unlike there, the first convolution has stride 1 and
    padding 1, since images are small, and no ReLU follows the last one, whose means are logits. For
    1000 classes there are the 1,235,496 parameters of ``torchvision.models.squeezenet1_1``.

    References
    ----------
    Iandola et al., "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and < 0.5 MB model
    size", 2016, arXiv:1602.07360. ``torchvision.models.squeezenet1_1``.

    Examples
    --------
    >>> import numpy as np
    >>> squeezenet_small()(np.zeros((2, 3, 32, 32))).shape
    (2, 10)
    """

    def conv(filters: int, size: int) -> list[L.Layer]:
        return [L.Conv2D(filters, size, padding=size // 2), L.ReLU()]

    def fire(squeeze: int, expand: int) -> list[L.Layer]:
        wide = [L.Sequential(conv(expand, size), name=f"{size}x{size}") for size in (1, 3)]
        return [*conv(squeeze, 1), L.Branches(wide)]

    def pool() -> L.Layer:
        return L.MaxPool2D(3, 2, ceil_mode=True)

    return L.Sequential(
        [
            *conv(64, 3),
            pool(),
            *fire(16, 64),
            *fire(16, 64),
            pool(),
            *fire(32, 128),
            *fire(32, 128),
            pool(),
            *fire(48, 192),
            *fire(48, 192),
            *fire(64, 256),
            *fire(64, 256),
            L.Dropout(0.5),
            L.Conv2D(classes, 1),
            L.GlobalAvgPool2D(),
        ],
        dtype=dtype,
    )
