"""Max and average pooling under a shift of the image by a few pixels."""

from __future__ import annotations

from typing import Any

import numpy as np

import deepfs as dfs
from deepfs import layers as L

from .._experiment import Movie, Result, experiment

SHIFTS = 4  # pixels, at most


@experiment(
    en="Max and average pooling under a shift: outputs move less than pixels",
    zh="平移时的最大池化与平均池化：输出的变化小于像素的变化",
)
def pooling_shift(*, seed: int = 0, quick: bool = False) -> Result:
    """Shift digits to the right, and measure how much the output of a pooling layer changes.

    The change is the norm of the difference over the norm of the output, a mean over digits.
    """
    (x, _), _ = dfs.datasets.mnist_mini()
    x = np.pad(x[: 100 if quick else 1000], ((0, 0), (0, 0), (2, 2), (0, SHIFTS)))
    layers = {
        "no pooling": L.Identity(),
        "max 2x2": L.MaxPool2D(2),
        "max 4x4": L.MaxPool2D(4),
        "average 2x2": L.AvgPool2D(2),
        "average 4x4": L.AvgPool2D(4),
    }
    steps = np.arange(SHIFTS + 1)
    change = {
        name: np.array([changed(layer(x), layer(np.roll(x, step, axis=3))) for step in steps])
        for name, layer in layers.items()
    }

    def draw(figure: Any, k: int = 1) -> None:
        left, right = figure.subfigures(1, 2, width_ratios=[1, 1.1])
        for row, step in zip(left.subplots(2, 3), (0, k), strict=True):
            moved = np.roll(x[:1], step, axis=3)
            for ax, name in zip(row, ("no pooling", "max 4x4", "average 4x4"), strict=True):
                ax.imshow(layers[name](moved)[0, 0], cmap="gray", vmin=0, vmax=1)
                ax.set(xticks=[], yticks=[])
                ax.set_title(f"{name}\nshifted by {step}", fontsize=8)
        ax = right.subplots()
        for name, values in change.items():
            colour = {"2x2": "C0", "4x4": "C1"}.get(name[-3:], "k")
            ax.plot(steps, values, "o--" if "average" in name else "o-", c=colour, label=name)
        ax.axvline(k, color="lightgrey", zorder=0)
        ax.set(xlabel="shift in pixels", ylabel="relative change of the output", xticks=steps)
        ax.legend(fontsize=8)

    one = {name: float(values[1]) for name, values in change.items()}
    return Result(
        numbers={
            f"change by {step} of 28 pixels, {name}": float(values[step])
            for step in (1, 3)
            for name, values in change.items()
        },
        see={
            "en": "Shifted by one pixel, a digit changes by 0.6 of its norm, pixel by pixel; the "
            "pooled one changes less, and the larger the window, the less. From 3 pixels on, the "
            "maximum changes less than the average: it stays as long as the stroke is anywhere in "
            "the window. Pooling only softens a shift, it does not cancel it: windows start every "
            "2 or 4 pixels.",
            "zh": "数字平移一个像素，逐像素比较时变化很大；池化后的变化小得多，"
            "窗口越大变化越小。平移 3 个像素以上时，最大池化的变化比平均池化小："
            "只要笔画还在窗口内，最大值就不变。"
            "池化只是减弱平移的影响，并不能消除：窗口每隔 2 或 4 个像素才有一个。",
        },
        found=all(
            one[f"{kind} 4x4"] < 0.9 * one[f"{kind} 2x2"] < 0.81 * one["no pooling"]
            for kind in ("max", "average")
        )
        and all(
            change[f"max {size}"][3] < 0.95 * change[f"average {size}"][3]
            for size in ("2x2", "4x4")
        ),
        draw=draw,
        size=(9.5, 4.2),
        movie=Movie(SHIFTS + 1, draw, per_second=1),
        data={"shifts": steps, **change},
    )


def changed(before: Any, after: Any) -> float:
    """Return the relative change of outputs, a mean over samples."""
    axes = (1, 2, 3)
    difference = np.sqrt(((after - before) ** 2).sum(axes))
    return float(np.mean(difference / np.sqrt((before**2).sum(axes))))
