"""Recipes for Fashion-MNIST."""

from __future__ import annotations

from .. import layers as L
from .._arrays import Array
from ..augment import RandomHorizontalFlip, Views
from ..losses import CrossEntropy
from ..optimizers import Adam
from ..schedules import OneCycle
from ._blocks import checked_target, conv_block
from .mnist import wide
from .recipe import Recipe

TARGETS = 0.92, 0.935


def fashion_mnist(target: float = 0.92) -> Recipe:
    """Return a recipe for Fashion-MNIST, images (n, 1, 28, 28) with values from 0 to 1.

    Parameters
    ----------
    target : float
        Accuracy on the 10,000 test images that the mean over seeds reaches after training on all
        60,000 images: 0.92 or 0.935; another number takes the next one above it.

    Returns
    -------
    Recipe
        Adam under one cycle, labels smoothed by 0.05, mirror images in training and as ``views``.

    Raises
    ------
    ValueError
        If no recipe reaches the target.

    Notes
    -----
    ``docs/recipes.md`` has accuracies and times, each with the processor.

    References
    ----------
    Xiao, Rasul and Vollgraf, "Fashion-MNIST", 2017, arXiv:1708.07747 (the images).

    Examples
    --------
    >>> fashion_mnist().views
    Views()
    """
    target = checked_target(target, TARGETS, "fashion_mnist")
    return Recipe(
        wide if target == 0.92 else residual,
        Adam(OneCycle(1e-2)),
        4 if target == 0.92 else 12,
        batch_size=128,
        loss=CrossEntropy(label_smoothing=0.05),
        augment=RandomHorizontalFlip(),
        views=Views(),
    )


def residual(x: Array) -> L.Sequential:
    """Return a network of two residual blocks, with 32, 64 and 128 filters."""
    return L.Sequential(
        [
            *conv_block(32),
            L.MaxPool2D(2),
            *conv_block(64),
            L.Residual([*conv_block(64), *conv_block(64)]),
            L.MaxPool2D(2),
            *conv_block(128),
            L.Residual([*conv_block(128), *conv_block(128)]),
            L.GlobalMaxPool2D(),
            L.Dense(10),
        ]
    )
