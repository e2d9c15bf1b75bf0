"""AdaGrad's steps shrink to 0, RMSProp's do not; what that costs, and what it is good for."""

from __future__ import annotations

from typing import Any

import numpy as np

import deepfs as dfs

from .._experiment import Result, experiment
from ._shared import label_log_axis, path

KINDS = {"AdaGrad": dfs.optimizers.AdaGrad, "RMSProp": dfs.optimizers.RMSProp}


@experiment(
    en="AdaGrad's step shrinks to 0, RMSProp's does not",
    zh="AdaGrad 的步长趋于 0，RMSProp 的不会",
)
def adagrad_steps(
    lr: float = 0.1, far: float = 5.0, *, seed: int = 0, quick: bool = False
) -> Result:
    """Walk down a slope of 1; then stand in a parabola under noisy gradients.

    AdaGrad divides by the root of the sum of all squares, so its steps are lr/sqrt(t) on a slope
    of 1; RMSProp by the root of an average, so its steps are lr. To go as far as d takes AdaGrad
    about (d / 2 lr)^2 steps, RMSProp d / lr.
    """
    steps, runs = (1000, 200) if quick else (10_000, 2000)
    rng = np.random.default_rng(seed)
    walk = {
        name: -path(kind(lr), lambda w: np.ones(1), [0], steps)[:, 0]
        for name, kind in KINDS.items()
    }
    noisy = {  # runs at once: the rules work entry by entry
        name: path(kind(lr), lambda w: w + rng.standard_normal(runs), np.ones(runs), 1000)
        for name, kind in KINDS.items()
    }
    length = {name: np.diff(way) for name, way in walk.items()}
    needed = {name: int((way < far).sum()) for name, way in walk.items()}
    distance = {name: np.sqrt((w**2).mean(axis=1)) for name, w in noisy.items()}

    def draw(figure: Any) -> None:
        left, middle, right = figure.subplots(1, 3)
        for name in KINDS:
            left.loglog(np.arange(1, steps + 1), length[name], label=name)
            middle.plot(walk[name], label=f"{name}, {needed[name]:,} steps to {far:g}")
            right.loglog(np.arange(1, 1001), distance[name][1:], label=name)
        t = np.geomspace(1, steps)
        left.loglog(t, lr / np.sqrt(t), "k:", label="lr / sqrt(t)")
        middle.axhline(far, color="k", lw=0.6)
        middle.set(xlim=(0, 1.1 * needed["AdaGrad"]), ylim=(0, 1.3 * far))
        left.set(xlabel="step", ylabel="length of the step", title="on a slope of 1")
        middle.set(xlabel="step", ylabel="distance", title="distance gone on that slope")
        right.set(
            xlabel="step",
            ylabel="root mean square distance",
            title="from the minimum of w²/2, with noise",
        )
        label_log_axis(right.yaxis)
        for ax in (left, middle, right):
            ax.legend(fontsize=8)

    return Result(
        numbers={
            f"step {steps:,} / lr, AdaGrad": float(length["AdaGrad"][-1] / lr),
            f"step {steps:,} / lr, RMSProp": float(length["RMSProp"][-1] / lr),
            f"steps to go {far:g}, AdaGrad": needed["AdaGrad"],
            f"steps to go {far:g}, RMSProp": needed["RMSProp"],
            "distance from the minimum with noise, AdaGrad": float(distance["AdaGrad"][-1]),
            "distance from the minimum with noise, RMSProp": float(distance["RMSProp"][-1]),
        },
        see={
            "en": "AdaGrad's sum of squares only grows, so on a long slope it comes nearly to a "
            "halt; RMSProp forgets old squares and keeps its pace. The same is AdaGrad's strength "
            "at the goal: under noise it settles down, while RMSProp goes on jumping about the "
            "minimum until its rate is lowered.",
            "zh": "AdaGrad 的平方和只增不减，因此在长坡上几乎停下；RMSProp 会遗忘旧的平方，保持速"
            "度。到达目标后，这又成了 AdaGrad 的优点：有噪声时它会稳定下来，而 RMSProp 一直在最小"
            "值附近跳动，除非降低学习率。",
        },
        found=bool(
            abs(length["AdaGrad"][-1] * np.sqrt(steps) / lr - 1) < 0.01
            and abs(length["RMSProp"][-1] / lr - 1) < 0.01
            and needed["AdaGrad"] > 5 * needed["RMSProp"]
            and distance["AdaGrad"][-1] < distance["RMSProp"][-1] / 1.5
        ),
        draw=draw,
        size=(12, 3.8),
        data={"way": walk, "distance": distance},
    )
