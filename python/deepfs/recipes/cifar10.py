"""Recipes for CIFAR-10."""

from __future__ import annotations

from typing import Any

from .. import layers as L
from .._arrays import Array
from ..augment import AlternatingFlip, ProgressiveResizing, RandomCrop, Views
from ..initializers import Dirac, HeUniform, Normal, patch_whitening
from ..losses import CrossEntropy
from ..optimizers import Group, Muon
from ..preprocessing import Standardize
from ..random import Random
from ..schedules import Polynomial
from ._blocks import checked_target
from .recipe import Recipe

LR = 0.17  # of Muon in the first step
BIAS_LR, HEAD_LR = 0.02, 0.01  # of AdamW in the first step, by adam_scale = 1 / LR
SCALE = 9  # by which the logits are divided, so that their gradients are small, too
TARGETS = {  # filters, epochs, of these with images of 16 x 16
    0.87: ((64, 128, 128), 4, 0),
    0.9: ((64, 256, 256), 7, 2),
}


def cifar10(target: float = 0.87) -> Recipe:
    """Return a recipe for CIFAR-10, images (n, 3, 32, 32), uint8 or values from 0 to 1.

    Parameters
    ----------
    target : float
        Accuracy on the 10,000 test images that the mean over seeds reaches after training on all
        50,000 images: 0.87 or 0.9; another number takes the next one above it.

    Returns
    -------
    Recipe
        Filters that whiten 2x2 patches, frozen; then six 3x3 convolutions that start as the
        identity, each with a batch norm, whose factors are frozen, and GELU. Muon for filters,
        AdamW for biases and the last layer, both under a rate that falls to 0; images moved by
        a pixel and mirrored in every other epoch, smaller in the first two epochs for 0.9; labels
        smoothed by 0.1. Six ``views`` to evaluate.

    Raises
    ------
    ValueError
        If no recipe reaches the target.

    Notes
    -----
    ``docs/recipes.md`` has accuracies and times, each with the processor, and what differs from
    the source.

    References
    ----------
    Jordan, "94% on CIFAR-10 in 3.29 seconds on a single GPU", 2024, arXiv:2404.00498, and its
    variant with Muon, https://github.com/KellerJordan/cifar10-airbench.

    Examples
    --------
    >>> cifar10().epochs, cifar10(0.9).epochs
    (4, 7)
    """
    widths, epochs, small = TARGETS[checked_target(target, tuple(TARGETS), "cifar10")]
    groups = [
        Group("whiten.weight", frozen=True),
        Group("*.gamma", frozen=True),
        Group(["whiten.bias", "*.beta"], lr_scale=BIAS_LR),
        Group("head.weight", lr_scale=HEAD_LR),
    ]
    augment: list[Any] = [RandomCrop(padding=1, padding_mode="reflect"), AlternatingFlip()]
    if small:  # sides grow from 16 to 32 and are multiples of 16: half of the epochs have 16
        augment.append(ProgressiveResizing(2 * small, size_increment=16))
    return Recipe(
        lambda x: whitened(x, *widths),
        Muon(
            Polynomial(LR),
            momentum=0.6,
            steps=3,
            adam="head.*",
            adam_scale=1 / LR,
            weight_decay=0.07,
            groups=groups,
        ),
        epochs,
        batch_size=500,
        loss=CrossEntropy(label_smoothing=0.1),
        augment=augment,
        preprocess=Standardize(per="channel"),
        views=Views.mirror_and_shift(),
        drop_last=True,
    )


def whitened(x: Array, *widths: int) -> L.Sequential:
    """Return a network whose first layer whitens the patches of images."""
    layers: list[L.Layer] = [  # sides of 32, 16, 8, 4: Winograd's tiles of 4 x 4 divide them
        L.Conv2D(24, 2, padding="same", initializer=patch_whitening(x), name="whiten"),
        L.GELU(),
    ]
    for filters in widths:
        layers += [identity(filters), L.MaxPool2D(2), *norm(), identity(filters), *norm()]
    std = (3 * widths[-1]) ** -0.5 / SCALE
    head = L.Dense(10, bias=False, initializer=Normal(std), name="head")
    return L.Sequential([*layers, L.GlobalMaxPool2D(), head])


def identity(filters: int) -> L.Conv2D:
    """Return a convolution that copies its input at first, with random filters beyond."""
    start = Dirac(rest=narrow_uniform)
    return L.Conv2D(filters, 3, padding="same", bias=False, initializer=start)


def narrow_uniform(shape: tuple[int, ...], rng: Random) -> Array:
    """Return weights from -1 / sqrt(fan_in) to 1 / sqrt(fan_in), as convolutions of PyTorch."""
    return HeUniform()(shape, rng) * 6**-0.5


def norm() -> list[L.Layer]:
    """Return a batch norm that soon forgets, and GELU."""
    return [L.BatchNorm(momentum=0.6, eps=1e-12), L.GELU()]
