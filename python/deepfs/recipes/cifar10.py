"""Recipes for CIFAR-10."""

from __future__ import annotations

from .. import layers as L
from .._arrays import Array
from ..augment import AlternatingFlip, RandomCrop, Views
from ..callbacks import Lookahead
from ..initializers import Dirac, Normal, patch_whitening
from ..losses import CrossEntropy
from ..optimizers import Group, Nesterov
from ..preprocessing import Standardize
from ..regularizers import L2
from ..schedules import OneCycle
from ._blocks import checked_target
from .recipe import Recipe

TARGETS = (0.88,)
SCALE = 9  # by which the logits are divided, so that their gradients are small, too
DECAY = 1.33e-3


def cifar10(target: float = 0.88) -> Recipe:
    """Return a recipe for CIFAR-10, images (n, 3, 32, 32), uint8 or values from 0 to 1.

    Parameters
    ----------
    target : float
        Accuracy on the 10,000 test images that the mean over seeds reaches after training on all
        50,000 images, at most 0.88.

    Returns
    -------
    Recipe
        Filters that whiten 2x2 patches, frozen; then six 3x3 convolutions that start as the
        identity, each with a batch norm, whose factors are frozen, and GELU. Nesterov's momentum
        under one cycle, with rates of their own for biases and the last layer; Lookahead; images
        moved by up to 2 pixels and mirrored in every other epoch; labels smoothed by 0.2. Six
        ``views`` to evaluate.

    Raises
    ------
    ValueError
        If no recipe reaches the target.

    Notes
    -----
    ``docs/recipes.md`` has accuracies and times, each with the processor. What differs from the
    source: widths, epochs and the size of batches, since a CPU needs no batches of 1024; the rate
    follows half cosines, not straight lines.

    References
    ----------
    Jordan, "94% on CIFAR-10 in 3.29 seconds on a single GPU", 2024, arXiv:2404.00498.

    Examples
    --------
    >>> cifar10().batch_size
    512
    """
    checked_target(target, TARGETS, "cifar10")
    groups = [
        Group("whiten.weight", frozen=True),
        Group("*.gamma", frozen=True),
        Group(["whiten.bias", "*.beta"], lr_scale=64),
        Group("head.weight", lr_scale=SCALE**-2, regularizer=L2(DECAY * SCALE**2)),
    ]
    return Recipe(
        whitened,
        Nesterov(
            OneCycle(1.5, rise=0.23, start=5, end=2.86),
            momentum=0.85,
            weight_decay=DECAY,
            groups=groups,
        ),
        9,
        batch_size=512,
        loss=CrossEntropy(label_smoothing=0.2),
        augment=[RandomCrop(padding=2, padding_mode="reflect"), AlternatingFlip()],
        preprocess=Standardize(per="channel"),
        callbacks=lookahead,
        views=Views.mirror_and_shift(),
        drop_last=True,
    )


def whitened(x: Array) -> L.Sequential:
    """Return a network whose first layer whitens the patches of images."""
    layers: list[L.Layer] = [
        L.Conv2D(24, 2, initializer=patch_whitening(x), name="whiten"),
        L.GELU(),
    ]
    for filters in (64, 128, 128):
        layers += [identity(filters), L.MaxPool2D(2), *norm(), identity(filters), *norm()]
    head = L.Dense(10, bias=False, initializer=Normal(0.036 / SCALE), name="head")
    return L.Sequential([*layers, L.MaxPool2D(3), L.Flatten(), head])


def identity(filters: int) -> L.Conv2D:
    """Return a convolution that copies its input at first, with random filters beyond."""
    start = Dirac(rest="he_normal")
    return L.Conv2D(filters, 3, padding="same", bias=False, initializer=start)


def norm() -> list[L.Layer]:
    """Return a batch norm that soon forgets, and GELU."""
    return [L.BatchNorm(momentum=0.6, eps=1e-12), L.GELU()]


def lookahead(steps: int) -> list[Lookahead]:
    """Return the callback for so many steps: its slow weights follow ever less closely."""
    return [Lookahead(5, lambda step: 1 - 0.95**5 * (step / steps) ** 3, statistics=True)]
