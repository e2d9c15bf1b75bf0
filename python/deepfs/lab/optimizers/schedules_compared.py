"""Decay of the learning rate: fast at first, quiet at the end."""

from __future__ import annotations

from typing import Any

import numpy as np

import deepfs as dfs
from deepfs import schedules

from .._experiment import Result, experiment
from ._shared import label_log_axis, path

CURVATURES = np.array([0.1, 1.0])


@experiment(
    en="Decay and schedules: a large rate is fast, a small one quiet, a falling one both",
    zh="学习率衰减与调度：大则快，小则稳，逐渐减小则兼得",
)
def schedules_compared(
    lr: float = 0.5, steps: int = 300, *, seed: int = 0, quick: bool = False
) -> Result:
    """Descend into f = 0.05 x^2 + 0.5 y^2 by noisy gradients, with eight schedules.

    At a constant rate the noise holds w at a distance: the variance of a coordinate of curvature c
    becomes lr / (c (2 - lr c)) times that of the noise. So f ends near a floor that is about
    proportional to the rate. The mean of many runs is drawn.
    """
    runs = 300 if quick else 3000
    rise = steps // 10
    rates: dict[str, float | schedules.Schedule] = {
        "constant, large": lr,
        "constant, small": lr / 25,
        "Step": schedules.Step(lr, every=steps // 3, factor=0.1),
        "Exponential": schedules.Exponential(lr, factor=0.02 ** (1 / steps)),
        "InverseTime": schedules.InverseTime(lr, decay=0.1),
        "Polynomial": schedules.Polynomial(lr, total=steps),
        "Cosine": schedules.Cosine(lr, total=steps),
        "Warmup, Cosine": schedules.Warmup(rise, schedules.Cosine(lr, total=steps - rise)),
    }
    curvature = np.tile(CURVATURES, runs)
    values = {}
    for name, rate in rates.items():
        rng = np.random.default_rng(seed)  # the same noise for all

        def gradient(w: Any, rng: np.random.Generator = rng) -> Any:
            return curvature * w + rng.standard_normal(len(w))

        points = path(dfs.optimizers.SGD(rate), gradient, np.tile([5.0, 2.0], runs), steps)
        values[name] = (points**2 @ curvature) / (2 * runs)
    last = {name: float(f[-steps // 30 :].mean()) for name, f in values.items()}
    floor = float((lr / (2 - lr * CURVATURES)).sum() / 2)
    quarter = {name: float(f[steps // 4]) for name, f in values.items()}
    decayed = [name for name in rates if not name.startswith("constant")]

    def draw(figure: Any) -> None:
        left, right = figure.subplots(1, 2)
        dfs.plots.schedule(rates, steps, ax=left)
        left.set_title("learning rate")
        for line, f in zip(left.lines, values.values(), strict=True):
            right.semilogy(f, color=line.get_color(), ls=line.get_linestyle())
        right.axhline(floor, color="k", ls=":", label="floor of the large rate")
        right.set(xlabel="step", ylabel="mean of f", title="SGD under noise")
        label_log_axis(right.yaxis)
        right.legend()

    return Result(
        numbers={
            **{f"f at the end, {name}": f for name, f in last.items()},
            "floor of the large rate by the formula": floor,
            "f after a quarter, large": quarter["constant, large"],
            "f after a quarter, small": quarter["constant, small"],
        },
        see={
            "en": "The large constant rate falls at once and then stays on its floor; the small "
            "one would end lower, but is not there yet. Each falling rate is fast first and ends "
            "many times lower. A warm-up costs a few steps here; it pays where first steps are "
            "dangerous.",
            "zh": "较大的恒定学习率下降很快，然后停在噪声决定的水平上；较小的最终会更低，但还没有"
            "到达。逐渐减小的学习率开始时快，结束时低好几倍。预热在这里只是多花几步，在最初几步容"
            "易出问题的网络上才值得。",
        },
        found=bool(
            all(
                last[name] < min(last["constant, large"], last["constant, small"]) / 2
                for name in decayed
            )
            and quarter["constant, large"] < quarter["constant, small"] / 2
            and abs(last["constant, large"] / floor - 1) < 0.15
        ),
        draw=draw,
        size=(11, 4.5),
        data={"f": values},
    )
