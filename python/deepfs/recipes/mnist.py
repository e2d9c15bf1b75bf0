"""Recipes for MNIST."""

from __future__ import annotations

from .. import layers as L
from .._arrays import Array
from ..augment import RandomCrop
from ..losses import CrossEntropy
from ..optimizers import Adam
from ..schedules import OneCycle
from ._blocks import checked_target, conv_block, four_convolutions
from ._muon import muon_recipe
from .recipe import Recipe

TARGETS = 0.99, 0.993, 0.995


def mnist(target: float = 0.99) -> Recipe:
    """Return a recipe for MNIST, images (n, 1, 28, 28) with values from 0 to 1.

    Parameters
    ----------
    target : float
        Accuracy on the 10,000 test images that the mean over seeds reaches after training on all
        60,000 images: 0.99, 0.993 or 0.995; another number takes the next one above it.

    Returns
    -------
    Recipe
        Adam under one cycle, labels smoothed by 0.05. For 0.99 the images are halved first, and one
        epoch is enough; for 0.993 and 0.995 they are shifted by up to 2 pixels. For 0.995 network
        and optimizer are those of `cifar10`, with fewer filters.

    Raises
    ------
    ValueError
        If no recipe reaches the target.

    Notes
    -----
    ``docs/recipes.md`` has accuracies and times, each with the processor.

    References
    ----------
    Smith and Topin, "Super-convergence", 2018, arXiv:1708.07120 (one cycle).

    Examples
    --------
    >>> mnist().epochs, mnist(0.993).epochs, mnist(0.995).epochs
    (1, 2, 3)
    """
    target = checked_target(target, TARGETS, "mnist")
    if target == 0.995:
        return muon_recipe((32, 64, 64), 3, RandomCrop(padding=2), None)
    epochs, lr = {0.99: (1, 1.5e-2), 0.993: (2, 1e-2)}[target]
    return Recipe(
        halved if target == 0.99 else narrow,
        Adam(OneCycle(lr)),
        epochs,
        batch_size=128,
        loss=CrossEntropy(label_smoothing=0.05),
        augment=() if target == 0.99 else RandomCrop(padding=2),
    )


def halved(x: Array) -> L.Sequential:
    """Return a network of 48,000 parameters that sees images of half the height and width."""
    return L.Sequential(
        [
            L.AvgPool2D(2),
            *conv_block(32),
            *conv_block(32),
            L.MaxPool2D(2),
            *conv_block(64),
            L.Flatten(),
            L.Dense(10),
        ]
    )


def narrow(x: Array) -> L.Sequential:
    """Return a network of four convolutions, with 24 filters in the first."""
    return four_convolutions(24)
