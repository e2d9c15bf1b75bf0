"""Whitening, identity convolutions and Muon: a training with recipes for all three data sets."""

from __future__ import annotations

from typing import Any

from .. import layers as L
from .._arrays import Array
from ..augment import Views
from ..initializers import Dirac, HeUniform, Normal, patch_whitening
from ..losses import CrossEntropy
from ..optimizers import Group, Muon
from ..preprocessing import Standardize
from ..random import Random
from ..schedules import Polynomial
from .recipe import Recipe

LR = 0.17  # of Muon in the first step
BIAS_LR, HEAD_LR = 0.02, 0.01  # of AdamW in the first step, by adam_scale = 1 / LR
SCALE = 9  # by which the logits are divided, so that their gradients are small, too


def muon_recipe(widths: tuple[int, ...], epochs: int, augment: Any, views: Views | None) -> Recipe:
    """Return a recipe for images of about 32 x 32 pixels, with two convolutions of each width."""
    groups = [
        Group("whiten.weight", frozen=True),
        Group("*.gamma", frozen=True),
        Group(["whiten.bias", "*.beta"], lr_scale=BIAS_LR),
        Group("head.weight", lr_scale=HEAD_LR),
    ]
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
        views=views,
        drop_last=True,
    )


def whitened(x: Array, *widths: int) -> L.Sequential:
    """Return a network whose first layer whitens the patches of images."""
    layers: list[L.Layer] = [  # sides of 32, 16, 8, 4: Winograd's tiles of 4 x 4 divide them
        L.Conv2D(  # a filter and its negative for each of the 2 x 2 numbers per channel
            8 * x.shape[1], 2, padding="same", initializer=patch_whitening(x), name="whiten"
        ),
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
