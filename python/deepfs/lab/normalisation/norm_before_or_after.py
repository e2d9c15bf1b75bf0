"""Batch norm before or after the activation: both work; with sigmoids after is better."""

from __future__ import annotations

from typing import Any

import numpy as np

from deepfs import layers as L

from .._experiment import Result, experiment
from ._shared import classifier, digits, network, train

PLACES = {"without": (None, False), "before": (L.BatchNorm, False), "after": (L.BatchNorm, True)}
ACTIVATIONS = {"ReLU": L.ReLU, "sigmoid": L.Sigmoid}


@experiment(
    en="Batch norm before or after the activation",
    zh="批归一化放在激活函数之前还是之后",
)
def norm_before_or_after(
    rate: float = 0.1, steps: int = 600, *, seed: int = 0, quick: bool = False, full: bool = False
) -> Result:
    """Train four hidden layers of ReLUs, and of sigmoids, with batch norm in either place.

    The authors put it before the activation, where sums of many inputs are nearly normal. Behind
    it, the next layer gets inputs of mean 0 and variance 1.
    """
    (x, y), (xt, _) = digits(full)
    units = 100
    if quick:
        units, steps = 40, min(steps, 150)
    losses, received = {}, {}
    for activation, kind in ACTIVATIONS.items():
        for place, (norm, after) in PLACES.items():
            net = network(
                [units] * 4, norm, activation=kind, after=after, initializer="glorot_normal"
            )
            losses[activation, place] = train(classifier(net, rate, seed), x, y, 50, steps, seed)
            received[activation, place] = net[:-1](xt[:300])  # what the last layer gets
    last = {key: float(np.mean(curve[-steps // 10 :])) for key, curve in losses.items()}
    mean = {key: float(np.abs(h.mean(axis=0)).mean()) for key, h in received.items()}

    def draw(figure: Any) -> None:
        axes = figure.subplots(2, 2)
        window = max(1, steps // 30)
        for row, activation in zip(axes, ACTIVATIONS, strict=True):
            for place, style in zip(PLACES, [":", "-", "--"], strict=True):
                curve = losses[activation, place]
                smooth = np.convolve(curve, np.ones(window) / window, "valid")
                row[0].plot(np.arange(len(smooth)) + window, smooth, style, label=place)
                h = received[activation, place].ravel()
                row[1].hist(h, bins=60, range=(-3, 4), histtype="step", ls=style, density=True)
            row[0].set(xlabel="training steps", ylabel="loss", title=f"{activation}: training")
            row[1].set(
                xlabel="inputs of the last layer",
                ylabel="density (log scale)",
                yscale="log",
                title=f"{activation}: what the last layer gets",
            )
        axes[0, 0].legend(title="batch norm", fontsize=8)

    return Result(
        numbers={
            f"loss at the end, {activation}, batch norm {place}": last[activation, place]
            for activation, place in last
        }
        | {
            f"mean of the inputs of the last layer, {activation}, {place}": mean[activation, place]
            for activation, place in mean
            if place != "without"
        },
        see={
            "en": "In either place batch norm helps, with ReLU about equally. Four layers of "
            "sigmoids do not learn in these steps without it. For them, after is better: sigmoids "
            "are all positive, with a mean near 1/2, and batch norm behind them centres what the "
            "next layer gets. Before a ReLU, half of its outputs are 0.",
            "zh": "放在哪里都有帮助，对 ReLU 来说差别不大。没有批归一化，四层 sigmoid "
            "在这些步数内学不会。对 sigmoid 来说放在之后更好：sigmoid 的输出全为正，均值约为 1/2，"
            "之后的批归一化让下一层的输入以 0 为中心。放在 ReLU 之前，ReLU 约一半的输出为 0。",
        },
        found=all(
            max(last[a, "before"], last[a, "after"]) < 0.85 * last[a, "without"]
            for a in ACTIVATIONS
        )
        and last["sigmoid", "without"] > 2
        and last["sigmoid", "after"] < 0.8 * last["sigmoid", "before"]
        and abs(last["ReLU", "before"] - last["ReLU", "after"])
        < 0.6 * (last["ReLU", "without"] - last["ReLU", "before"]),
        draw=draw,
        size=(9.0, 6.0),
        data={"losses": losses, "received": received},
    )
