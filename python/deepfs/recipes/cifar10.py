"""Recipes for CIFAR-10."""

from __future__ import annotations

from typing import Any

from ..augment import AlternatingFlip, ProgressiveResizing, RandomCrop, Views
from ._blocks import checked_target
from ._muon import muon_recipe
from .recipe import Recipe

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
    augment: list[Any] = [RandomCrop(padding=1, padding_mode="reflect"), AlternatingFlip()]
    if small:  # sides grow from 16 to 32 and are multiples of 16: half of the epochs have 16
        augment.append(ProgressiveResizing(2 * small, size_increment=16))
    return muon_recipe(widths, epochs, augment, Views.mirror_and_shift())
