"""Saturated sigmoids: large weights push them to 0 or 1, where they hardly learn."""

from __future__ import annotations

from typing import Any

import numpy as np

import deepfs as dfs
from deepfs import layers as L

from .._experiment import Result, experiment


def enlarged(scale: float) -> dfs.initializers.Initializer:
    """Return an initializer: Xavier's weights times ``scale``."""
    xavier = dfs.initializers.GlorotNormal()
    return lambda shape, rng: scale * xavier(shape, rng)


def wrong_output(loss: str, steps: int, rate: float = 0.5) -> Any:
    """Return the output of a sigmoid while it learns 0, from a sum of 5: 0.993."""
    z, outputs = 5.0, []
    for _ in range(steps):
        y = 1 / (1 + np.exp(-z))
        outputs.append(y)
        slope = y * (1 - y) if loss == "squared error" else 1.0  # cross-entropy cancels it
        z -= rate * y * slope
    return np.array(outputs)


@experiment(
    en="Saturation: sigmoids at 0 or 1 hardly learn",
    zh="饱和：输出接近 0 或 1 的 sigmoid 几乎不学习",
)
def saturation(
    rate: float = 0.5, steps: int = 1000, *, seed: int = 0, quick: bool = False, full: bool = False
) -> Result:
    """Train two hidden layers of sigmoids from Xavier's weights, and from enlarged ones.

    A sigmoid counts as saturated where its derivative y (1 - y) is below 5 % of 1/4, the largest.
    """
    (x, y), _ = dfs.datasets.mnist() if full else dfs.datasets.mnist_mini()
    scales, units = [1.0, 3.0, 10.0, 30.0, 100.0], 100
    if quick:
        scales, units, steps = [1.0, 10.0, 100.0], 50, min(steps, 250)
    outputs, share, update, losses = {}, [], [], {}
    for scale in scales:
        weights, rng = enlarged(scale), np.random.default_rng(seed)
        net = L.Sequential(
            [L.Flatten(), L.Dense(units, initializer=weights), L.Sigmoid(),
             L.Dense(units, initializer=weights), L.Sigmoid(),
             L.Dense(10, initializer="glorot_normal")]
        )  # fmt: skip
        model = dfs.Model(net, dfs.losses.CrossEntropy(), dfs.optimizers.SGD(rate), seed=seed)
        rows = dfs.diagnose(model, x[:300], y[:300], steps=5)
        update.append(float(rows["dense_2"].update_ratio or 0))
        outputs[scale] = h = model.outputs_of(x[:300], "sigmoid_2")
        share.append(float(np.mean(h * (1 - h) < 0.05 / 4)))
        batches = [rng.integers(0, len(x), 50) for _ in range(steps)]
        losses[scale] = [model.train_on_batch(x[i], y[i])["loss"] for i in batches]
    last = [float(np.mean(losses[scale][-steps // 10 :])) for scale in scales]
    wrong = {loss: wrong_output(loss, 400) for loss in ("squared error", "cross-entropy")}
    half = {loss: int(np.argmax(found < 0.5)) for loss, found in wrong.items()}

    def draw(figure: Any) -> None:
        (a, b), (c, d) = figure.subplots(2, 2)
        window = max(1, steps // 25)
        for scale, color in zip((scales[0], 10.0, scales[-1]), ("C0", "C1", "C3"), strict=True):
            label = f"Xavier times {scale:g}"
            a.hist(
                outputs[scale].ravel(),
                bins=30,
                range=(0, 1),
                histtype="step",
                color=color,
                label=label,
            )
            smooth = np.convolve(losses[scale], np.ones(window) / window, "valid")
            c.plot(np.arange(len(smooth)) + window, smooth, color=color, label=label)
        b.semilogx(scales, share, "o-", color="C4", label="share of saturated outputs")
        b.semilogx(
            scales,
            np.array(update) / update[0],
            "s--",
            color="C2",
            label="update of a step / weights,\nrelative to that of Xavier",
        )
        for loss, found in wrong.items():
            d.plot(found, label=loss)
        a.set(xlabel="output", ylabel="number", title="outputs of hidden layer 2 before training")
        b.set(
            xlabel="factor of Xavier's weights",
            ylabel="share",
            title="saturation by the scale of weights",
        )
        c.set(xlabel="training steps", ylabel="loss", title="training")
        d.set(xlabel="steps", ylabel="output", title="one wrong sigmoid learns 0")
        for ax in (a, b, c, d):
            ax.legend(fontsize=8)

    return Result(
        numbers={
            f"saturated share, Xavier times {s:g}": v for s, v in zip(scales, share, strict=True)
        }
        | {
            f"update over weights, Xavier times {s:g}": v
            for s, v in zip(scales, update, strict=True)
        }
        | {f"loss at the end, Xavier times {s:g}": v for s, v in zip(scales, last, strict=True)}
        | {f"steps until a wrong output is below 0.5, {loss}": n for loss, n in half.items()},
        see={
            "en": "Large weights make large sums, and the sigmoids sit at 0 or 1, where the "
            "derivative is nearly 0. Most samples then change nothing, and an update is small "
            "beside the weights. A factor of 10 does no harm yet, since half of the outputs still "
            "react; with 100, the loss falls slowly. At the output, cross-entropy is the cure: "
            "its gradient y - t has no factor y (1 - y), so that a sigmoid that is wrong and "
            "saturated learns at once.",
            "zh": "权重大，加权和就大，sigmoid 的输出停在 0 或 1，那里导数几乎为 0。"
            "大多数样本不再引起变化，更新量相对于权重很小。放大 10 倍时还没有坏处，"
            "因为仍有一半的输出能够变化；放大 100 倍时，损失下降得很慢。在输出层，"
            "解决办法是交叉熵：它的梯度 y - t 中没有因子 y (1 - y)，因此一个答错且已饱和的 "
            "sigmoid 也能马上开始学习。",
        },
        found=share[0] < 0.05
        and share[-1] > 0.85
        and update[-1] < update[0] / 20
        and last[-1] > 2 * last[0]
        and half["squared error"] > 5 * half["cross-entropy"],
        draw=draw,
        size=(9.5, 6.5),
        data={"scales": scales, "share": share, "update": update, "losses": losses, "last": last},
    )
