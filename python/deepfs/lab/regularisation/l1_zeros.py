"""L1 makes weights exactly zero: how many, and what they cost."""

from __future__ import annotations

from typing import Any

import numpy as np

import deepfs as dfs
from deepfs.regularizers import L1, L2

from .._experiment import Result, experiment
from ._shared import dense_network, digits, scores

RATES = (0.0, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2)


@experiment(
    en="Weights that L1 sets to exactly zero, and the accuracy they cost",
    zh="L1 使权值恰好为零：零的比例与损失的精度",
)
def l1_zeros(
    rates: tuple[float, ...] = RATES,
    *,
    seed: int = 0,
    quick: bool = False,
    full: bool = False,
) -> Result:
    """Train one hidden layer with L1 of several rates, and with L2 beside it.

    ``proximal=True`` moves a weight towards 0 and not across, so that it stays at 0. The plain form
    adds rate * sign(w) to the gradient and steps back and forth across 0; L2 pulls ever less.
    """
    images, units, epochs, step = (1000, 50, 20, 0.1) if quick else (5000, 100, 30, 0.1)
    if quick:
        rates = rates[:1] + rates[2:]
    train, test = digits(60_000 if full else images, full)

    def run(regularizer: Any) -> tuple[float, float, Any]:
        groups = [dfs.optimizers.Group("*.weight", regularizer=regularizer)]
        rule = dfs.optimizers.SGD(step, groups=groups)
        model = dfs.Model(dense_network([0], units), "cross_entropy", rule, seed=seed)
        model.fit(*train, batch_size=50, epochs=epochs, verbose=0)
        weights = [w for name, w in model.get_weights().items() if name.endswith("weight")]
        zeros = sum(int((w == 0).sum()) for w in weights) / sum(w.size for w in weights)
        return zeros, scores(model, train, test)[2], weights[0]

    zeros, accuracy, first = zip(*(run(L1(rate, proximal=True)) for rate in rates), strict=True)
    others = {"L1 0.001, not proximal": run(L1(1e-3)), "L2 0.001": run(L2(1e-3))}

    def draw(figure: Any) -> None:
        left, right = figure.subfigures(1, 2, width_ratios=(1, 1.2))
        ax = left.subplots()
        ax.plot(np.multiply(100, zeros), np.multiply(100, accuracy), "o-", label="L1, proximal")
        for rate, x, y in zip(rates, zeros, accuracy, strict=True):
            ax.annotate(f"{rate:g}", (100 * x, 100 * y), xytext=(4, 6), textcoords="offset points")
        for marker, (name, (x, y, _)) in zip("sx", others.items(), strict=True):
            ax.plot(100 * x, 100 * y, marker, ms=9, mfc="none", label=name)
        ax.set(xlabel="weights that are exactly 0, %", ylabel="accuracy on test images, %")
        ax.set(
            title="The price of zeros, by rate",
            xlim=(-5, 108),
            ylim=(None, 100 * max(accuracy) + 2),
        )
        ax.legend(loc="lower left")
        right.suptitle("First layer: pixels whose weights are not 0")
        kept = [0, len(rates) // 3, max(0, len(rates) - 2)]
        for ax, k in zip(right.subplots(1, 3), kept, strict=True):
            share = (first[k] != 0).mean(axis=1).reshape(28, 28)
            picture = ax.imshow(share, vmin=0, vmax=1, cmap="gray")
            ax.set(title=f"rate {rates[k]:g}", xticks=[], yticks=[])
        right.colorbar(
            picture,
            ax=right.axes,
            orientation="horizontal",
            label="share of the units that use a pixel",
        )

    numbers = {}
    for rate, share, value in zip(rates, zeros, accuracy, strict=True):
        numbers[f"L1 {rate:g}: share of zeros"] = share
        numbers[f"L1 {rate:g}: test accuracy"] = value
    for name, (share, value, _) in others.items():
        numbers |= {f"{name}: share of zeros": share, f"{name}: test accuracy": value}
    cheap = max(z for z, right in zip(zeros, accuracy, strict=True) if right > accuracy[0] - 0.02)
    return Result(
        numbers=numbers,
        see={
            "en": f"{cheap:.0%} of the weights may be exactly 0 for at most 2 points of accuracy; "
            f"{zeros[-1]:.0%} cost {100 * (accuracy[0] - accuracy[-1]):.0f} points. The units look "
            "away from the border first, where pixels say nothing. L2 makes weights small, not "
            "zero, and L1 as a plain gradient only steps around 0.",
            "zh": f"{cheap:.0%} 的权值可以恰好为零，精度损失不超过 2 个百分点；{zeros[-1]:.0%} "
            "的权值为零则损失 "
            f"{100 * (accuracy[0] - accuracy[-1]):.0f} 个百分点。最先被舍弃的是图像边缘，"
            "那里的像素没有信息。"
            "L2 只让权值变小而不为零；把 L1 直接加到梯度上，权值只会在 0 附近来回摆动。",
        },
        found=bool(np.all(np.diff(zeros) > 0))
        and zeros[0] == 0
        and cheap > 0.2
        and zeros[-1] > 0.9
        and accuracy[-1] < accuracy[0] - 0.05
        and all(share < 0.001 for share, _, _ in others.values()),
        draw=draw,
        size=(11.0, 4.5),
        data={"rates": rates, "zeros": zeros, "accuracy": accuracy, "first weights": first},
    )
