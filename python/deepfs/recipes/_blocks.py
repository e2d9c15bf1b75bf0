"""What the networks of the recipes consist of."""

from __future__ import annotations

from .. import layers as L
from .._check import number


def conv_block(filters: int) -> list[L.Layer]:
    """Return a 3x3 convolution, batch norm, ReLU."""
    return [L.Conv2D(filters, 3, padding="same", bias=False), L.BatchNorm(), L.ReLU()]


def four_convolutions(filters: int) -> L.Sequential:
    """Return a network whose filters double wherever the images are halved."""
    return L.Sequential(
        [
            *conv_block(filters),
            L.MaxPool2D(2),
            *conv_block(2 * filters),
            *conv_block(2 * filters),
            L.MaxPool2D(2),
            *conv_block(4 * filters),
            L.GlobalMaxPool2D(),
            L.Dense(10),
        ]
    )


def checked_target(target: float, known: tuple[float, ...], who: str) -> float:
    """Return the least of the known targets that reaches ``target``."""
    target = number(target, "target", "(0, 1)")
    for each in known:
        if target <= each:
            return each
    raise ValueError(
        f"{who} has recipes for {', '.join(f'{each:g}' for each in known)}, got target={target:g}"
    )
