"""Recipes for Fashion-MNIST."""

from __future__ import annotations

from ..augment import RandomHorizontalFlip, Views
from ..losses import CrossEntropy
from ..optimizers import Adam
from ..schedules import OneCycle
from ._blocks import checked_target, four_convolutions
from .recipe import Recipe

TARGETS = (0.92,)


def fashion_mnist(target: float = 0.92) -> Recipe:
    """Return a recipe for Fashion-MNIST, images (n, 1, 28, 28) with values from 0 to 1.

    Parameters
    ----------
    target : float
        Accuracy on the 10,000 test images that the mean over seeds reaches after training on all
        60,000 images, at most 0.92.

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
    checked_target(target, TARGETS, "fashion_mnist")
    return Recipe(
        lambda x: four_convolutions(32),
        Adam(OneCycle(1e-2)),
        4,
        batch_size=128,
        loss=CrossEntropy(label_smoothing=0.05),
        augment=RandomHorizontalFlip(),
        views=Views(),
    )
