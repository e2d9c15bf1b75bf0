"""Adam's means begin at 0; what the correction of this bias does to the first steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

import deepfs as dfs

from .._experiment import Result, experiment
from ._shared import bowl, bowl_gradient, draw_contours, path


@dataclass(eq=False)
class Uncorrected(dfs.optimizers.Optimizer):
    """Adam without its bias correction: w = w - lr m / (sqrt(v) + eps)."""

    lr: float = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999

    def init(self, w: Any) -> dict[str, Any]:
        return {"m": np.zeros_like(w), "v": np.zeros_like(w)}

    def _step(self, context: dfs.optimizers.StepContext) -> None:
        for w, g, state, lr in context.parts():
            state["m"] += (1 - self.beta1) * (g - state["m"])
            state["v"] += (1 - self.beta2) * (g**2 - state["v"])
            w -= lr * state["m"] / (np.sqrt(state["v"]) + 1e-8)


@experiment(
    en="Adam's bias correction: without it the first steps are too long",
    zh="Adam 的偏差修正：没有它，最初的步长过大",
)
def adam_bias_correction(
    beta1: float = 0.9, beta2: float = 0.999, *, seed: int = 0, quick: bool = False
) -> Result:
    """Give Adam gradients of mean 1, with and without the correction.

    m and v begin at 0. After t steps they hold 1 - beta^t of the weights of an average, so Adam
    divides them by it. Without that the first step is (1 - beta1)/sqrt(1 - beta2) = 3.2 times lr,
    since v starts more slowly than m.
    """
    lr, steps = 0.1, 1000 if quick else 6000
    t = np.arange(1, steps + 1)
    adam, bare = dfs.optimizers.Adam(lr, beta1, beta2), Uncorrected(lr, beta1, beta2)
    ones = {
        "corrected": -np.diff(path(adam, lambda w: np.ones(1), [0], steps)[:, 0]) / lr,
        "not corrected": -np.diff(path(bare, lambda w: np.ones(1), [0], steps)[:, 0]) / lr,
    }
    # the same means for noisy gradients, read from the state
    rng = np.random.default_rng(seed)
    gradients = 1 + 0.3 * rng.standard_normal((60, 1))
    w, state, m = np.zeros(1), adam.init(np.zeros(1)), []
    for k, g in enumerate(gradients, 1):
        adam.step(w, g, state, k)
        m.append(state["m"][0])
    means = {"m": np.array(m), "m / (1 - beta1^t)": m / (1 - beta1 ** t[:60])}
    adam, bare = dfs.optimizers.Adam(0.3, beta1, beta2), Uncorrected(0.3, beta1, beta2)
    ways = {
        "corrected": path(adam, bowl_gradient, (-7, 2), 60),
        "not corrected": path(bare, bowl_gradient, (-7, 2), 60),
    }
    over = {name: float(points[:, 0].max()) for name, points in ways.items()}

    def draw(figure: Any) -> None:
        left, middle, right = figure.subplots(1, 3)
        left.plot(t[:60], gradients, ".", color="0.75", label="gradients, mean 1")
        for colour, (name, values) in zip(("C1", "C0"), means.items(), strict=True):
            left.plot(t[:60], values, color=colour, label=name)
        left.set(xlabel="step", ylabel="gradient", ylim=(0, 1.8), title="estimates of the mean")
        for name, values in ones.items():
            middle.semilogx(t, values, label=name)
        middle.set(xlabel="step", ylabel="length of the step / lr", title="all gradients 1")
        draw_contours(right, bowl, (0.1, 0.5, 1, 2, 4, 6, 9), (-8, 5, -2.5, 2.5))
        for name, points in ways.items():
            right.plot(*points.T, ".-", lw=0.8, ms=3, label=name)
        right.plot(0, 0, "k+")
        right.set_title("x²/20 + y², lr 0.3, 60 steps")
        left.legend(fontsize=8, loc="lower right")
        middle.legend(fontsize=8)
        right.legend(fontsize=8)

    return Result(
        numbers={
            "first step / lr, corrected": float(ones["corrected"][0]),
            "first step / lr, not corrected": float(ones["not corrected"][0]),
            "longest step / lr, not corrected": float(ones["not corrected"].max()),
            "at step": int(ones["not corrected"].argmax() + 1),
            "first mean m, gradients of mean 1": float(means["m"][0]),
            "the same, corrected": float(means["m / (1 - beta1^t)"][0]),
            "x beyond the minimum of the bowl, corrected": over["corrected"],
            "x beyond the minimum of the bowl, not corrected": over["not corrected"],
        },
        see={
            "en": "Without the correction m is a tenth of the gradient at first. The root of v is "
            f"too small for longer, so steps grow to {ones['not corrected'].max():.1f} times lr "
            "and the path on the bowl is thrown across the valley. With it all steps are as long "
            "as lr.",
            "zh": "不做修正时，m 起初只有梯度的十分之一，而 v 的平方根偏小的时间更长，因此步长会增"
            f"大到学习率的 {ones['not corrected'].max():.1f} 倍，路径被甩到谷的另一侧。做了修正，"
            "每一步的长度都等于学习率。",
        },
        found=bool(
            np.allclose(ones["corrected"], 1, atol=1e-6)
            and ones["not corrected"][0] > 3
            and ones["not corrected"].max() > 5
            and over["not corrected"] > 3 * over["corrected"]
        ),
        draw=draw,
        size=(12, 3.8),
        data={"steps": ones, "means": means, "paths": ways},
    )
