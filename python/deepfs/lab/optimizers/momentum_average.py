"""Momentum averages the last 1/(1 - beta) gradients."""

from __future__ import annotations

from typing import Any

import numpy as np

import deepfs as dfs

from .._experiment import Result, experiment
from ._shared import path

BETAS = (0.5, 0.9, 0.99)


def averages(beta: float, gradients: Any) -> Any:
    """Return the average v that Momentum keeps, after each of these gradients.

    In the form "ema" a step is w = w - lr v, so with lr = 1 it shows v.
    """
    given = iter(gradients)
    optimizer = dfs.optimizers.Momentum(1.0, beta, form="ema")
    return -np.diff(
        path(optimizer, lambda w: next(given), np.zeros(gradients.shape[1]), len(gradients)), axis=0
    )


@experiment(
    en="The average of momentum reaches back 1/(1 - beta) steps",
    zh="动量的平均值约覆盖最近 1/(1 - beta) 步",
)
def momentum_average(*, seed: int = 0, quick: bool = False) -> Result:
    """Give Momentum one gradient and then zeros, noise, and a noisy wave.

    v = beta v + (1 - beta) g gives the gradient of k steps ago the weight (1 - beta) beta^(k-1),
    the last one being 1 step ago. The mean of k is 1/(1 - beta), and of independent noise the share
    sqrt((1 - beta)/(1 + beta)) is left.
    """
    rng = np.random.default_rng(seed)
    steps, runs = 1200, 2000 if quick else 20_000
    once = np.zeros((steps, 1))
    once[0] = 1
    noise = rng.standard_normal((500, runs))
    wave = np.sin(np.arange(400) / 30)[:, None] + 0.5 * rng.standard_normal((400, 1))
    weights = {beta: averages(beta, once)[:, 0] for beta in BETAS}
    ages = np.arange(1, steps + 1)
    reach = {beta: float(ages @ w / w.sum()) for beta, w in weights.items()}
    recent = {beta: float(w[: round(1 / (1 - beta))].sum()) for beta, w in weights.items()}
    left = {beta: float(averages(beta, noise)[-1].std()) for beta in BETAS}
    classic = dfs.optimizers.Momentum(1.0, 0.9)  # v = beta v - lr g: a sum, not an average
    longest = float(path(classic, lambda w: -np.ones(1), [0.0], 200)[-2:, 0] @ [-1, 1])

    def draw(figure: Any) -> None:
        ax, right = figure.subplots(1, 2)
        for k, (beta, w) in enumerate(weights.items()):
            ax.loglog(ages, w, color=f"C{k}", label=f"beta {beta}")
            ax.axvline(1 / (1 - beta), color=f"C{k}", ls=":")
        ax.set(xlabel="age of the gradient (steps)", ylabel="weight in the average", ylim=(1e-5, 1))
        ax.set_title("dotted: 1/(1 - beta)")
        ax.legend()
        right.plot(wave, ".", color="0.75", ms=3, label="gradients")
        for beta in BETAS:
            right.plot(averages(beta, wave), lw=1.2, label=f"average, beta {beta}")
        right.set(xlabel="step", ylabel="gradient", title="less noise, and more delay")
        right.legend(fontsize=8)

    return Result(
        numbers={
            **{f"mean age of the gradients, beta {b} (steps)": reach[b] for b in BETAS},
            **{f"weight of the last 1/(1 - beta), beta {b}": recent[b] for b in BETAS},
            **{f"share of noise left, beta {b}": left[b] for b in BETAS},
            "longest step of the classic form, beta 0.9, over lr": longest,
        },
        see={
            "en": "With beta = 0.9 the average is one of about the last ten gradients: they have "
            "65 % of its weight, and 23 % of the noise is left. With 0.99 it is smoother still, "
            "but follows the wave late and at a third of its height. The textbook's form adds "
            "gradients up instead of averaging, so its steps grow to ten times lr.",
            "zh": "beta = 0.9 时，平均值大致由最近十个梯度构成：它们占 65% 的权重，噪声只剩 23%。"
            "beta = 0.99 时更平滑，但跟随波形明显滞后，幅度只有三分之一。教科书的形式是累加而不是"
            "平均，所以步长会增大到学习率的十倍。",
        },
        found=all(
            abs(reach[b] * (1 - b) - 1) < 0.02
            and 0.6 < recent[b] < 0.8
            and abs(left[b] / np.sqrt((1 - b) / (1 + b)) - 1) < 0.1
            for b in BETAS
        )
        and abs(longest - 10) < 0.01,
        draw=draw,
        size=(10, 4.2),
        data={"weights": weights, "wave": wave},
    )
