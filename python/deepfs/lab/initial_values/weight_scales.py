"""Training with weights of std 0.01, Xavier and He: the first does not learn."""

from __future__ import annotations

from typing import Any

import numpy as np

import deepfs as dfs
from deepfs import layers as L

from .._experiment import Result, experiment
from ._shared import dense_network, digits

STARTS = {
    "std 0.01": dfs.initializers.Normal(0.01),
    "Xavier": dfs.initializers.LecunNormal(),  # the book's form: variance 1 / fan-in
    "He": dfs.initializers.HeNormal(),
}


@experiment(
    en="Training with weights of std 0.01, Xavier and He",
    zh="用标准差 0.01、Xavier、He 初始值训练",
)
def weight_scales(
    rate: float = 0.01, steps: int = 2000, *, seed: int = 0, quick: bool = False, full: bool = False
) -> Result:
    """Train four hidden layers of 100 ReLUs by SGD from three initial scales.

    With std 0.01 the outputs shrink from layer to layer, and so do the gradients on their way back:
    all but the last bias stand still.
    """
    x, y = digits(full)
    units = 100
    if quick:  # narrower layers and larger steps, so that fewer do
        units, rate, steps = 40, 5 * rate, min(steps, 250)
    rng = np.random.default_rng(seed)
    batches = [rng.choice(len(x), 128, replace=False) for _ in range(steps)]
    losses = {}
    for name, start in STARTS.items():
        net = dense_network([units] * 4, L.ReLU, start)
        model = dfs.Model(net, dfs.losses.CrossEntropy(), dfs.optimizers.SGD(rate), seed=seed)
        losses[name] = [model.train_on_batch(x[i], y[i])["loss"] for i in batches]
    last = {name: float(np.mean(curve[-50:])) for name, curve in losses.items()}

    def draw(figure: Any) -> None:
        ax = figure.subplots()
        window = max(1, steps // 50)
        for (name, curve), style in zip(losses.items(), ["-s", "-o", "-D"], strict=True):
            mean = np.convolve(curve, np.ones(window) / window, "valid")
            at = np.arange(len(mean)) + window
            ax.plot(at, mean, style, markevery=max(1, len(mean) // 10), ms=4, label=name)
        ax.axhline(np.log(10), color="k", ls=":", lw=0.8, label="log 10: a guess")
        ax.set(
            xlabel="training steps", ylabel="loss (cross-entropy)", ylim=(0, 2.6),
            title=f"five dense layers with ReLU, SGD with rate {rate:g}",
        )  # fmt: skip
        ax.legend()

    return Result(
        numbers={f"loss in the last 50 steps, {name}": last[name] for name in STARTS}
        | {"loss of a guess among 10 classes": float(np.log(10))},
        see={
            "en": "From std 0.01 the loss stays at log 10 = 2.303, that of a guess: the outputs "
            "of the layers, and so the gradients, are nearly 0. Xavier's and He's weights learn, "
            "and He's sooner, since it allows for the half that a ReLU sets to 0.",
            "zh": "从标准差 0.01 出发，损失停留在 log 10 = 2.303，即随机猜测的水平："
            "各层的输出接近 0，因而梯度也接近 0。Xavier 和 He 初始值都能学习，He 更快，"
            "因为它考虑了 ReLU 会把一半的值变为 0。",
        },
        found=last["std 0.01"] > 2.25
        and last["He"] < 0.95 * last["Xavier"]
        and last["Xavier"] < 1.9,
        draw=draw,
        data={"losses": losses},
    )
