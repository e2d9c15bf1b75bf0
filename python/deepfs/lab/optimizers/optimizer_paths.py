"""Paths of eight optimizers on the textbook's long bowl, x^2/20 + y^2."""

from __future__ import annotations

from typing import Any

import numpy as np

import deepfs as dfs

from .._experiment import Movie, Result, experiment
from ._shared import bowl, bowl_gradient, draw_contours, path, sign_changes

BOX, LEVELS = (-8, 3, -3, 3), (0.1, 0.5, 1, 2, 4, 6, 9, 12)


def optimizers() -> dict[str, dfs.optimizers.Optimizer]:
    """Return new optimizers; the rates of SGD, Momentum, AdaGrad and Adam are the textbook's."""
    return {
        "SGD": dfs.optimizers.SGD(0.95),
        "Momentum": dfs.optimizers.Momentum(0.1),
        "Nesterov": dfs.optimizers.Nesterov(0.1),
        "AdaGrad": dfs.optimizers.AdaGrad(1.5),
        "RMSProp": dfs.optimizers.RMSProp(0.3),
        # its first steps are about as long as the root of eps: 1e-6 would hardly leave the start
        "AdaDelta": dfs.optimizers.AdaDelta(eps=1e-2),
        "Adam": dfs.optimizers.Adam(0.3),
        "NAdam": dfs.optimizers.NAdam(0.3),
    }


@experiment(
    en="Paths of eight optimizers on x^2/20 + y^2: SGD goes in a zig-zag",
    zh="八种优化器在 x^2/20 + y^2 上的路径：SGD 走之字形",
)
def optimizer_paths(steps: int = 30, *, seed: int = 0, quick: bool = False) -> Result:
    """Follow each optimizer from (-7, 2) and from (-7, -2).

    The gradient (x/10, 2y) points across the bowl, not to its minimum. A step of SGD with rate 0.95
    multiplies y by 1 - 1.9 = -0.9 and x by 0.905: the sign of y changes in every step.
    """
    above = {name: path(o, bowl_gradient, (-7, 2), steps) for name, o in optimizers().items()}
    below = {name: path(o, bowl_gradient, (-7, -2), steps) for name, o in optimizers().items()}
    changes = {name: sign_changes(points[:, 1]) for name, points in above.items()}
    last = {name: float(bowl(*points[-1])) for name, points in above.items()}

    def draw(figure: Any) -> None:
        grid = np.meshgrid(np.linspace(-7.5, 2.5, 11), np.linspace(-2.5, 2.5, 6))
        for ax, name in zip(
            figure.subplots(2, 4, sharex=True, sharey=True).flat, above, strict=True
        ):
            draw_contours(ax, bowl, LEVELS, BOX)
            ax.quiver(
                *grid, -grid[0] / 10, -2 * grid[1], color="0.6", width=0.005, scale=45, zorder=0
            )
            ax.plot(*above[name].T, ".-", lw=1, ms=4, label="from (-7, 2)")
            ax.plot(*below[name].T, ".-", lw=1, ms=4, label="from (-7, -2)")
            ax.plot(0, 0, "k+")
            ax.set_title(f"{name}: {changes[name]} sign changes of y", fontsize=10)
            ax.label_outer()
        figure.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=2)

    def draw_race(figure: Any, k: int) -> None:
        ax = figure.subplots()
        draw_contours(ax, bowl, LEVELS, BOX)
        for name, points in above.items():
            (line,) = ax.plot(*points[max(k - 6, 0) : k + 1].T, lw=1)
            ax.plot(*points[k], "o", color=line.get_color(), label=name)
        ax.plot(0, 0, "k+")
        ax.set_title(f"after {k} of {steps} steps; lines: the last six")
        ax.legend(loc="lower left", ncols=4)

    return Result(
        numbers={
            **{f"sign changes of y, {name}": count for name, count in changes.items()},
            **{f"f at the end, {name}": value for name, value in last.items()},
        },
        see={
            "en": "Grey arrows are the negative gradient: far from the axis y = 0 they hardly "
            f"point to the minimum (+). SGD jumps from one side to the other, {changes['SGD']} "
            f"times in {steps} steps. Momentum and Nesterov swing through the valley, Nesterov "
            "less. AdaGrad, RMSProp and AdaDelta divide each coordinate by the size of its own "
            "gradients and go without swings; Adam and NAdam do both.",
            "zh": f"灰色箭头是负梯度：远离 y = 0 时，它几乎不指向最小值（+）。SGD 在 {steps} 步中 "
            f"{changes['SGD']} 次从一侧跳到另一侧。Momentum 和 Nesterov 在谷中摆动，Nesterov 摆动"
            "较小。AdaGrad、RMSProp 和 AdaDelta 把每个坐标除以该坐标自身梯度的大小，没有摆动；"
            "Adam 和 NAdam 两者兼有。",
        },
        found=changes["SGD"] == steps
        and all(2 * count <= steps for name, count in changes.items() if name != "SGD")
        and all(np.allclose(above[name], below[name] * [1, -1]) for name in above)
        and last["AdaGrad"] < last["SGD"] / 5,
        draw=draw,
        size=(12, 5.5),
        movie=Movie(steps + 1, draw_race, per_second=5),
        data={"above": above, "below": below},
    )
