"""A ravine: what its steepness costs SGD and Momentum, and what turning it costs AdaGrad."""

from __future__ import annotations

from typing import Any

import numpy as np

import deepfs as dfs

from .._experiment import Result, experiment
from ._shared import draw_contours, path


def ravine_of(steepness: float, degrees: float) -> tuple[Any, Any]:
    """Return the matrix H of f(w) = w' H w / 2, and a start on its flat side."""
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    turn = np.array([[c, -s], [s, c]])
    return turn @ np.diag([1.0, steepness]) @ turn.T, turn @ [-10.0, 1.0]


def tuned(steepness: float) -> dict[str, dfs.optimizers.Optimizer]:
    """Return SGD and Momentum with their best settings for curvatures 1 to ``steepness``.

    Polyak, "Some methods of speeding up the convergence of iteration methods", 1964.
    """
    root = np.sqrt(steepness)
    lr, momentum = 4 / (1 + root) ** 2, ((root - 1) / (root + 1)) ** 2
    return {
        "SGD": dfs.optimizers.SGD(2 / (1 + steepness)),
        "Momentum": dfs.optimizers.Momentum(lr, momentum),
    }


@experiment(
    en="A ravine: SGD needs steps by its steepness, Momentum by the root of it",
    zh="峡谷：SGD 的步数与陡峭程度成正比，Momentum 只与其平方根成正比",
)
def ravine(steepness: float = 100.0, *, seed: int = 0, quick: bool = False) -> Result:
    """Count steps until f is a thousandth, in ravines more and more steep; then turn one by 45°.

    The rate of SGD is limited by the steep sides, so along the flat bottom it creeps. AdaGrad has a
    rate for each coordinate, which is what a ravine along an axis needs; one across the axes gives
    both coordinates the same squares, and there is nothing to gain.
    """

    def run(optimizer: dfs.optimizers.Optimizer, steep: float, degrees: float, most: int) -> Any:
        h, start = ravine_of(steep, degrees)
        return path(optimizer, lambda w: h @ w, start, most)

    def steps_of(points: Any, steep: float, degrees: float) -> int:
        """Return the steps until f stays below a thousandth of its first value."""
        h, _ = ravine_of(steep, degrees)
        f = ((points @ h) * points).sum(axis=1)
        return int(np.flatnonzero(f > f[0] / 1000)[-1]) + 1

    steeps = np.array([10.0, 100.0] if quick else [3.0, 10.0, 30.0, 100.0, 300.0, 1000.0])
    needed: dict[str, list[int]] = {"SGD": [], "Momentum": []}
    for steep in steeps:
        for name, optimizer in tuned(steep).items():
            most = int((3 if name == "SGD" else 15 / np.sqrt(steep) + 1) * steep) + 20
            needed[name].append(steps_of(run(optimizer, steep, 0, most), steep, 0))
    slopes = {
        name: float(np.polyfit(np.log(steeps), np.log(n), 1)[0]) for name, n in needed.items()
    }
    rates = (0.3, 1.0, 3.0) if quick else np.geomspace(0.1, 10, 13)
    turned = {
        degrees: min(
            (run(dfs.optimizers.AdaGrad(lr), steepness, degrees, 700) for lr in rates),
            key=lambda points: steps_of(points, steepness, degrees),
        )
        for degrees in (0, 45)
    }
    adagrad = {degrees: steps_of(points, steepness, degrees) for degrees, points in turned.items()}

    def draw(figure: Any) -> None:
        axes = figure.subplots(1, 3)
        for ax, degrees in zip(axes, (0, 45), strict=False):
            h, _ = ravine_of(steepness, degrees)
            draw_contours(
                ax, lambda x, y, h=h: (h[0, 0] * x**2 + 2 * h[0, 1] * x * y + h[1, 1] * y**2) / 2,
                (1, 5, 20, 50, 100, 200), (-11, 3, -2, 2) if not degrees else (-9, 3, -9, 3),
            )  # fmt: skip
            for name, optimizer in tuned(steepness).items():
                ax.plot(*run(optimizer, steepness, degrees, 60).T, ".-", lw=0.8, ms=3, label=name)
            ax.plot(*turned[degrees][:61].T, ".-", lw=0.8, ms=3, label="AdaGrad")
            ax.plot(0, 0, "k+")
            ax.set_title(
                f"turned by {degrees}°, 60 steps; AdaGrad needs {adagrad[degrees]}", fontsize=10
            )
            ax.legend(fontsize=8)
        for name, steps in needed.items():
            axes[2].loglog(steeps, steps, "o-", label=f"{name}, slope {slopes[name]:.2f}")
        axes[2].set(
            xlabel="steepness of the ravine", ylabel="steps", title="until f is a thousandth"
        )
        axes[2].legend()

    return Result(
        numbers={
            **{f"steps at steepness {steeps[-1]:g}, {n}": steps[-1] for n, steps in needed.items()},
            **{f"exponent of the steepness, {name}": slope for name, slope in slopes.items()},
            **{f"steps of AdaGrad, turned by {d}°": n for d, n in adagrad.items()},
        },
        see={
            "en": "SGD jumps from side to side and hardly moves along the bottom: ten times as "
            "steep costs ten times the steps. Momentum adds up what the sides cancel out, and "
            "needs only the root of that. AdaGrad goes straight down a ravine along the x-axis, "
            "but not down the same ravine turned by 45°.",
            "zh": "SGD 在两侧之间跳动，沿谷底几乎不前进：陡峭程度增加十倍，步数也增加十倍。"
            "Momentum 抵消两侧的分量、累积沿谷底的分量，步数只按平方根增加。峡谷沿 x 轴时 AdaGrad "
            "直奔谷底；同一峡谷转过 45° 后就不行了。",
        },
        found=0.85 < slopes["SGD"] < 1.15
        and 0.35 < slopes["Momentum"] < 0.65
        and adagrad[45] > 10 * adagrad[0],
        draw=draw,
        size=(13, 4.2),
        data={"steepness": steeps, "steps": needed, "AdaGrad": turned},
    )
