"""Recipes for Fashion-MNIST."""

from __future__ import annotations

from ..augment import AlternatingFlip, RandomCrop, RandomHorizontalFlip, Views
from ..losses import CrossEntropy
from ..optimizers import Adam
from ..schedules import OneCycle
from ._blocks import checked_target, four_convolutions
from ._muon import muon_recipe
from .recipe import Recipe

MUON = {  # filters and epochs
    0.935: ((32, 64, 64), 6),
    0.945: ((64, 128, 128), 6),
}
TARGETS = 0.92, *MUON


def fashion_mnist(target: float = 0.92) -> Recipe:
    """Return a recipe for Fashion-MNIST, images (n, 1, 28, 28) with values from 0 to 1.

    Parameters
    ----------
    target : float
        Accuracy on the 10,000 test images that the mean over seeds reaches after training on all
        60,000 images: 0.92, 0.935 or 0.945; another number takes the next one above it.

    Returns
    -------
    Recipe
        For 0.92, Adam under one cycle, labels smoothed by 0.05, mirror images in training and as
        ``views``. For 0.935 and 0.945, network and optimizer are those of `cifar10`, with fewer
        filters; images are shifted by up to a pixel, and mirrored in every other epoch. Six
        ``views``.

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
    >>> fashion_mnist().views, fashion_mnist(0.935).epochs
    (Views(), 6)
    """
    target = checked_target(target, TARGETS, "fashion_mnist")
    if target in MUON:
        widths, epochs = MUON[target]
        augment = [RandomCrop(padding=1), AlternatingFlip()]
        return muon_recipe(widths, epochs, augment, Views.mirror_and_shift())
    return Recipe(
        lambda x: four_convolutions(32),
        Adam(OneCycle(1e-2)),
        4,
        batch_size=128,
        loss=CrossEntropy(label_smoothing=0.05),
        augment=RandomHorizontalFlip(),
        views=Views(),
    )
