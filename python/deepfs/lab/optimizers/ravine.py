"""A ravine: what its steepness costs SGD and Momentum, and what turning it costs AdaGrad."""

from __future__ import annotations

from typing import Any

import numpy as np

import deepfs as dfs

from .._experiment import Result, experiment
from ._shared import draw_contours, label_log_axis, path


def optimizers(steepness: float) -> dict[str, dfs.optimizers.Optimizer]:
    """Return new optimizers, with settings that suit curvatures from 1 to ``steepness``.

    The rate of SGD is the best one. Momentum's factor is the least with which it does not creep
    along the bottom (Polyak 1964; Goh, "Why momentum really works", 2017).
    """
    return {
        "SGD": dfs.optimizers.SGD(2 / (1 + steepness)),
        "Momentum": dfs.optimizers.Momentum(1 / steepness, (1 - steepness**-0.5) ** 2),
        "AdaGrad": dfs.optimizers.AdaGrad(2.0),
    }


def descend(optimizer: str, steepness: float, degrees: float, most: int) -> tuple[Any, Any, int]:
    """Return the matrix H of f(w) = w' H w / 2, a path, and its steps until f is a thousandth."""
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    turn = np.array([[c, -s], [s, c]])
    h = turn @ np.diag([1.0, steepness]) @ turn.T
    points = path(optimizers(steepness)[optimizer], lambda w: h @ w, turn @ [-10.0, 1.0], most)
    f = ((points @ h) * points).sum(axis=1)
    return h, points, int(np.flatnonzero(f > f[0] / 1000)[-1]) + 1


@experiment(
    en="A ravine: SGD needs steps by its steepness, Momentum by the root of it",
    zh="峡谷：SGD 的步数与陡峭程度成正比，Momentum 只与其平方根成正比",
)
def ravine(steepness: float = 100.0, *, seed: int = 0, quick: bool = False) -> Result:
    """Count steps until f is a thousandth, in steeper and steeper ravines; then turn one by 45°.

    Steepness is the curvature across the ravine over that along it. The steep sides limit the rate
    of SGD, so along the bottom it creeps. AdaGrad has a rate for each coordinate: what a ravine
    along an axis needs. Across the axes both coordinates get the same rate, and nothing is gained.
    """
    steeps = np.array([10.0, 100.0] if quick else [3.0, 10.0, 30.0, 100.0, 300.0, 1000.0])
    needed = {
        name: [descend(name, steep, 0, int(2.5 * steep) + 20)[2] for steep in steeps]
        for name in ("SGD", "Momentum")
    }
    slopes = {
        name: float(np.polyfit(np.log(steeps), np.log(n), 1)[0]) for name, n in needed.items()
    }
    turned = {
        degrees: {name: descend(name, steepness, degrees, 400) for name in optimizers(steepness)}
        for degrees in (0, 45)
    }
    adagrad = {degrees: ways["AdaGrad"][2] for degrees, ways in turned.items()}

    def draw(figure: Any) -> None:
        axes = figure.subplots(1, 3)
        boxes = {0: (-11, 3, -2, 2), 45: (-9, 3, -9, 3)}
        for ax, (degrees, ways) in zip(axes, turned.items(), strict=False):
            h = ways["SGD"][0]

            def f(x: Any, y: Any, h: Any = h) -> Any:
                return (h[0, 0] * x**2 + 2 * h[0, 1] * x * y + h[1, 1] * y**2) / 2

            draw_contours(ax, f, (1, 5, 20, 50, 100, 200), boxes[degrees])
            for name, (_, points, steps) in ways.items():
                label = f"{name}, {steps} steps"
                ax.plot(*points[:61].T, ".-", lw=0.8, ms=3, label=label)
            ax.plot(0, 0, "k+")
            ax.set_title(f"turned by {degrees}°, first 60 steps")
            ax.legend(fontsize=8, loc="upper right" if not degrees else "lower right")
        for name, counts in needed.items():
            axes[2].loglog(steeps, counts, "o-", label=f"{name}, exponent {slopes[name]:.2f}")
        axes[2].set(xlabel="steepness", ylabel="steps", title="until f is a thousandth")
        label_log_axis(axes[2].yaxis)
        axes[2].legend()

    return Result(
        numbers={
            **{f"steps at steepness {steeps[-1]:g}, {n}": steps[-1] for n, steps in needed.items()},
            **{f"exponent of the steepness, {name}": slope for name, slope in slopes.items()},
            **{f"steps of AdaGrad, turned by {d}°": n for d, n in adagrad.items()},
        },
        see={
            "en": "SGD jumps from side to side and hardly moves along the bottom: ten times as "
            "steep costs ten times the steps. Momentum adds up its steps along the bottom while "
            "those across cancel out, and needs only the root of that. AdaGrad is quick in a "
            "ravine along the x-axis, but creeps in the same ravine turned by 45°.",
            "zh": "SGD 在两侧之间跳动，沿谷底几乎不前进：陡峭程度增加十倍，步数也增加十倍。"
            "Momentum 累积沿谷底的步伐，而横向的互相抵消，步数只按平方根增加。峡谷沿 x 轴时 "
            "AdaGrad 很快；同一峡谷转过 45° 后，它就只能慢慢爬行。",
        },
        found=0.85 < slopes["SGD"] < 1.15
        and 0.35 < slopes["Momentum"] < 0.65
        and adagrad[45] > 5 * adagrad[0],
        draw=draw,
        size=(13, 4.2),
        data={"steepness": steeps, "steps": needed, "turned": turned},
    )
