"""Mixed images: MixUp and CutMix, of the finished images of a batch."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from cnn_core import image

from .._arrays import Array, empty
from .._check import number
from .._labels import known_labels
from .._settings import ExplainedSettings
from ._random import draw, symmetric_beta


class Mixing(ExplainedSettings):
    """Base of what mixes each image of a batch with the image before it.

    A batch is shuffled already, so the image before is a random partner; the first has the last,
    as in torchvision. The labels become probabilities.
    """

    alpha: float
    p: float
    draws: ClassVar[int]

    def __post_init__(self) -> None:
        self.alpha = number(self.alpha, "alpha", "(0, inf)")
        self.p = number(self.p, "p", "[0, 1]")

    @abstractmethod
    def boxes(self, u: Array, share: Array, shape: tuple[int, ...]) -> tuple[Array, Array, Array]:
        """Return the boxes, the own share of each image inside, and that of its target."""

    def mix(
        self, x: Array, y: Any, weight: Any, numbers: Array, epoch: int, seed: int, classes: Any,
        position: int,
    ) -> tuple[Array, Array, Array | None]:  # fmt: skip
        """Return mixed inputs, targets and sample weights."""
        who = type(self).__name__
        n = len(x)
        target = probabilities(y, n, classes, who)
        weight = weights(weight, n, who)
        u = draw(numbers, self.draws + 3, seed, epoch, position)
        share = symmetric_beta(u[:, 0], u[:, 1], self.alpha)
        share[u[:, 2] >= self.p] = 1.0
        box, inside, own = self.boxes(u[:, 3:], share, x.shape)
        partner = np.roll(np.arange(n), 1)
        mixed = empty(x.shape, x.dtype)
        if x.ndim == 4:
            image.mix(x, partner, inside, box, mixed)
        else:
            shape = n, 1, 1, x.size // max(n, 1)
            image.mix(x.reshape(shape), partner, inside, box, mixed.reshape(shape))
        here, there = own, 1 - own
        if weight is not None:  # share w of the term of one target, (1 - share) w' of the other
            here, there = here * weight, there * weight[partner]
            weight = here + there
            total = np.where(weight == 0, 1.0, weight)
            here, there = np.where(weight == 0, 1.0, here / total), there / total
        axes = (slice(None),) + (None,) * (target.ndim - 1)
        target = here[axes] * target + there[axes] * target[partner]
        return mixed, target.astype(x.dtype), weight


@dataclass
class MixUp(Mixing):
    r"""MixUp: blend each image, and its target, with the image before it in the batch.

    .. math:: \lambda x_i + (1 - \lambda) x_j, \qquad \lambda t_i + (1 - \lambda) t_j, \qquad
        \lambda \sim \mathrm{Beta}(\alpha, \alpha)

    Parameters
    ----------
    alpha : float
        Above 0; the larger, the nearer are the shares to 1/2. 0.1 to 0.4 for ImageNet, 1 for
        CIFAR-10 in the paper.
    p : float
        Probability that an image is mixed, in [0, 1].

    Raises
    ------
    TypeError, ValueError
        If a setting is of the wrong kind or out of range; or, for a batch, if targets are neither
        labels ``(n,)`` nor probabilities, or weights are not one per sample.

    Notes
    -----
    Each image has a share of its own, a function of the seed, the epoch and its number; its partner
    depends on the batch. Targets are probabilities afterwards, as `deepfs.losses.CrossEntropy`
    takes them; `deepfs.metrics.accuracy` compares with the larger share. Sample weights are mixed
    so that the loss is the mixture of both weighted terms. NumPy reference:
    `deepfs.reference.mix`.

    References
    ----------
    Zhang et al., "mixup: beyond empirical risk minimization", 2018, arXiv:1710.09412.
    ``torchvision.transforms.v2.MixUp``, which draws one share for a batch.

    Examples
    --------
    >>> from deepfs.augment import MixUp, pipeline
    >>> x, y = np.array([[[[0.0]]], [[[10.0]]]]), np.array([0, 1])
    >>> x, y, _ = pipeline(MixUp(0.4)).mix(x, y, None, [0, 1], epoch=0, seed=0, classes=2)
    >>> np.allclose(x.ravel(), 10 * y[:, 1])
    True
    """

    alpha: float = 1.0
    p: float = 1.0

    draws = 0

    def boxes(self, u: Array, share: Array, shape: tuple[int, ...]) -> tuple[Array, Array, Array]:
        h, w = shape[2:] if len(shape) == 4 else (1, int(np.prod(shape[1:])))
        box = np.empty((len(share), 4), np.int64)
        box[:] = 0, h, 0, w
        return box, share, share


@dataclass
class CutMix(Mixing):
    r"""CutMix: replace a box of each image by that of the image before it in the batch.

    The box has the part 1 - lambda of the area, with lambda ~ Beta(alpha, alpha), and the form of
    the image; all pixels are equally probable as its centre, and it is cut off at the edges. The
    targets are mixed by the area that the box has then.

    Parameters
    ----------
    alpha : float
        Above 0; 1 in the paper.
    p : float
        Probability that an image is mixed, in [0, 1]; 0.5 for CIFAR in the authors' code.

    Raises
    ------
    TypeError, ValueError
        As `MixUp`, and for inputs that are not images ``(n, c, h, w)``.

    Notes
    -----
    The box reaches int(h r / 2) rows up and down from its centre, r = sqrt(1 - lambda), and
    int(w r / 2) columns left and right, as in torchvision. All else as in `MixUp`. NumPy reference:
    `deepfs.reference.mix`.

    References
    ----------
    Yun et al., "CutMix: regularization strategy to train strong classifiers with localizable
    features", 2019, arXiv:1905.04899. ``torchvision.transforms.v2.CutMix``.

    Examples
    --------
    >>> CutMix().alpha
    1.0
    """

    alpha: float = 1.0
    p: float = 1.0

    draws = 2

    def boxes(self, u: Array, share: Array, shape: tuple[int, ...]) -> tuple[Array, Array, Array]:
        if len(shape) != 4:
            raise ValueError(f"CutMix takes images (n, c, h, w), got inputs of shape {shape}")
        h, w = shape[2:]
        half = np.sqrt(1 - share) / 2
        box = np.empty((len(share), 4), np.int64)
        for k, extent in enumerate((h, w)):
            centre, reach = np.floor(u[:, k] * extent), np.floor(half * extent)
            box[:, 2 * k] = np.maximum(0, centre - reach)
            box[:, 2 * k + 1] = np.minimum(extent, centre + reach)
        area = (box[:, 1] - box[:, 0]) * (box[:, 3] - box[:, 2])
        return box, np.zeros(len(share)), 1 - area / max(h * w, 1)


def probabilities(y: Any, n: int, classes: Any, who: str) -> Array:
    """Return targets as probabilities in float64: labels ``(n,)`` as rows of one 1."""
    if isinstance(y, (tuple, dict)):
        raise TypeError(f"{who} takes one array of targets, got a {type(y).__name__} of them")
    y = np.asarray(y)
    if y.dtype.kind in "iu" and y.shape == (n,):
        if classes is None:
            raise ValueError(
                f"{who} needs the number of classes for labels {y.shape}: give the loader "
                "class_names, or one-hot targets, np.eye(classes)[y]"
            )
        label, _ = known_labels(y, classes, who)
        target = np.zeros((n, classes))
        target[np.arange(n), label] = 1
        return target
    if y.dtype.kind not in "fiub" or y.ndim != 2 or len(y) != n:
        raise ValueError(
            f"{who} takes labels ({n},) or probabilities ({n}, classes) as targets, got "
            f"{y.dtype} of shape {y.shape}"
        )
    target = y.astype(np.float64)
    wrong = ~((target >= 0) & (target <= 1.001))
    if wrong.any():
        raise ValueError(
            f"{who} takes labels or probabilities as targets, got {target[wrong][0]} among "
            f"{y.dtype} of shape {y.shape}"
        )
    return target


def weights(weight: Any, n: int, who: str) -> Array | None:
    """Return sample weights ``(n,)`` in float64, or None."""
    if weight is None:
        return None
    if isinstance(weight, (tuple, dict)) or np.shape(weight) != (n,):
        raise ValueError(
            f"{who} takes one sample weight per sample, ({n},), got "
            f"{type(weight).__name__ if isinstance(weight, (tuple, dict)) else np.shape(weight)}"
        )
    return np.asarray(weight, np.float64)
