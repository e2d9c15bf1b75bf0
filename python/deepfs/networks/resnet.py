"""Residual networks: those for small images, of 6 k + 2 layers, and ResNet-18."""

from __future__ import annotations

from .. import layers as L
from .._check import one_of, whole


def resnet(depth: int = 20, classes: int = 10, dtype: str = "float32") -> L.Sequential:
    """Return a residual network for small images: 16 filters, stages of 16, 32 and 64, classes.

    `resnet20`, `resnet32`, `resnet44` and `resnet56` are the depths of the paper.

    Parameters
    ----------
    depth : int
        Number of layers, 6 k + 2 for k blocks in each of the 3 stages: 20, 32, 44, 56, 110.
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
    Shapes: ``(n, 3, 32, 32)`` to ``(n, classes)``. A block is two 3x3 convolutions with batch norm.
    Where the number of filters doubles, the first convolution has stride 2 and the shortcut is a
    1x1 convolution with batch norm: option B of the paper. (The paper's results on CIFAR use option
    A, zeros for the new channels: 2,752 parameters less.) For 10 classes:

    ===== ========== ===========
    depth parameters MACs
    ===== ========== ===========
    20    272,474    40,813,184
    32    466,906    69,124,736
    44    661,338    97,436,288
    56    855,770    125,747,840
    ===== ========== ===========

    References
    ----------
    He, Zhang, Ren and Sun, "Deep residual learning for image recognition", 2015, arXiv:1512.03385,
    section 4.2.

    Examples
    --------
    >>> import numpy as np
    >>> resnet(14)(np.zeros((5, 3, 32, 32))).shape
    (5, 10)
    """
    depth = whole(depth, "depth", 8)
    if depth % 6 != 2:
        raise ValueError(
            f"depth must be 6 k + 2 for k blocks in a stage, as 20, 32, 44, 56, got {depth}; of 18 "
            "layers there is resnet18"
        )
    blocks = (depth - 2) // 6
    body = [*_stage(16, blocks, 1), *_stage(32, blocks, 2), *_stage(64, blocks, 2)]
    head = [L.GlobalAvgPool2D(), L.Dense(classes)]
    return L.Sequential([*_conv(16), L.ReLU(), *body, *head], dtype=dtype)


def _conv(filters: int, stride: int = 1) -> list[L.Layer]:
    return [L.Conv2D(filters, 3, stride, padding=1, bias=False), L.BatchNorm()]


def _block(filters: int, stride: int = 1) -> list[L.Layer]:
    body = L.Sequential([*_conv(filters, stride), L.ReLU(), *_conv(filters)])
    shortcut = None
    if stride > 1:
        shortcut = L.Sequential([L.Conv2D(filters, 1, stride, bias=False), L.BatchNorm()])
    return [L.Residual(body, shortcut), L.ReLU()]


def _stage(filters: int, blocks: int, stride: int) -> list[L.Layer]:
    more = [layer for _ in range(blocks - 1) for layer in _block(filters)]
    return [*_block(filters, stride), *more]


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
    Shapes: ``(n, 3, 32, 32)`` to ``(n, classes)``; 272,474 parameters and 40,813,184 MACs for 10
    classes. See `resnet`.

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
    return resnet(20, classes, dtype)


def resnet32(classes: int = 10, dtype: str = "float32") -> L.Sequential:
    """Return ResNet-32: 16 filters, then 5 residual blocks each of 16, 32 and 64, mean, classes.

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
    Shapes: ``(n, 3, 32, 32)`` to ``(n, classes)``; 466,906 parameters and 69,124,736 MACs for 10
    classes. See `resnet`.

    References
    ----------
    He, Zhang, Ren and Sun, "Deep residual learning for image recognition", 2015, arXiv:1512.03385,
    section 4.2.

    Examples
    --------
    >>> import numpy as np
    >>> resnet32()(np.zeros((5, 3, 32, 32))).shape
    (5, 10)
    """
    return resnet(32, classes, dtype)


def resnet44(classes: int = 10, dtype: str = "float32") -> L.Sequential:
    """Return ResNet-44: 16 filters, then 7 residual blocks each of 16, 32 and 64, mean, classes.

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
    Shapes: ``(n, 3, 32, 32)`` to ``(n, classes)``; 661,338 parameters and 97,436,288 MACs for 10
    classes. See `resnet`.

    References
    ----------
    He, Zhang, Ren and Sun, "Deep residual learning for image recognition", 2015, arXiv:1512.03385,
    section 4.2.

    Examples
    --------
    >>> import numpy as np
    >>> resnet44()(np.zeros((5, 3, 32, 32))).shape
    (5, 10)
    """
    return resnet(44, classes, dtype)


def resnet56(classes: int = 10, dtype: str = "float32") -> L.Sequential:
    """Return ResNet-56: 16 filters, then 9 residual blocks each of 16, 32 and 64, mean, classes.

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
    Shapes: ``(n, 3, 32, 32)`` to ``(n, classes)``; 855,770 parameters and 125,747,840 MACs for 10
    classes. See `resnet`.

    References
    ----------
    He, Zhang, Ren and Sun, "Deep residual learning for image recognition", 2015, arXiv:1512.03385,
    section 4.2.

    Examples
    --------
    >>> import numpy as np
    >>> resnet56()(np.zeros((5, 3, 32, 32))).shape
    (5, 10)
    """
    return resnet(56, classes, dtype)


def resnet18(classes: int = 10, dtype: str = "float32", stem: str = "7x7") -> L.Sequential:
    """Return ResNet-18: a stem, then 2 residual blocks each of 64, 128, 256, 512, mean, classes.

    Parameters
    ----------
    classes : int
        Number of outputs (logits).
    dtype : {"float32", "float64"}
        dtype of parameters and outputs.
    stem : {"7x7", "3x3"}
        "7x7" is that of the paper and of torchvision, for images of 224x224: a convolution of
        stride 2, then max pooling of stride 2. "3x3", a convolution of stride 1 without pooling,
        is what is usual for images of 32x32, of which the other would leave 1x1.

    Raises
    ------
    TypeError, ValueError
        If a setting is of the wrong kind or out of range.

    Notes
    -----
    Shapes: ``(n, 3, h, w)`` to ``(n, classes)``. For 10 classes 11,181,642 parameters, and
    1,813,566,464 MACs at 224x224; with ``stem="3x3"`` 11,173,962, and 555,422,720 MACs at 32x32.
    For 1000 classes they are torchvision's 11,689,512. Layers lie in the order of torchvision's, so
    `Model.load_weights` reads its weights.

    References
    ----------
    He, Zhang, Ren and Sun, "Deep residual learning for image recognition", 2015, arXiv:1512.03385,
    table 1. ``torchvision.models.resnet18``.

    Examples
    --------
    >>> import numpy as np
    >>> resnet18()(np.zeros((1, 3, 64, 64))).shape
    (1, 10)
    """
    if one_of(stem, "stem", ("7x7", "3x3")) == "7x7":
        first: list[L.Layer] = [
            L.Conv2D(64, 7, 2, padding=3, bias=False),
            L.BatchNorm(),
            L.ReLU(),
            L.MaxPool2D(3, 2, padding=1),
        ]
    else:
        first = [*_conv(64), L.ReLU()]
    body = [*_stage(64, 2, 1), *_stage(128, 2, 2), *_stage(256, 2, 2), *_stage(512, 2, 2)]
    head = [L.GlobalAvgPool2D(), L.Dense(classes)]
    return L.Sequential([*first, *body, *head], dtype=dtype)
