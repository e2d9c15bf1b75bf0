"""Dropout as an ensemble: the scaled network against the mean over many masks."""

from __future__ import annotations

from typing import Any

import numpy as np

import deepfs as dfs

from .._experiment import Result, experiment
from ._shared import dense_network, digits


def probabilities(logits: Any) -> Any:
    """Return the softmax of each row."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


@experiment(
    en="Dropout is an ensemble: scaled weights against the mean of 1,000 masks",
    zh="Dropout 相当于集成学习：按比例缩放的权值与 1000 个掩码平均的比较",
)
def dropout_ensemble(
    p: float = 0.5,
    masks: int = 1000,
    *,
    seed: int = 0,
    quick: bool = False,
    full: bool = False,
) -> Result:
    """Train with dropout; then answer with one mask, with many, and with none.

    Each mask is a network of its own, with shared weights: 2^100 of them for 100 hidden units.
    ``forward(x, training=True)`` draws one. Without a mask, outputs are scaled by what is expected:
    one pass in place of a thousand.
    """
    train, (xt, yt) = digits(1000 if quick else 60_000, full)
    xt, yt = xt[: 200 if quick else 1000], yt[: 200 if quick else 1000]
    net = dense_network([p], 100)
    model = dfs.Model(net, "cross_entropy", dfs.optimizers.Momentum(0.05), seed=seed)
    model.fit(*train, batch_size=50, epochs=4 if quick else 10, verbose=0)

    hidden = net[:3](xt)  # up to the ReLU: no mask changes it
    scaled = net[3:](hidden)
    logits, mean = np.zeros_like(scaled), np.zeros_like(scaled)
    right, off = [], []
    alone = 0.0
    for k in range(1, masks + 1):
        one, _ = net[3:].forward(hidden, training=True)
        alone += float((one.argmax(axis=1) == yt).mean()) / masks
        logits += (one - logits) / k  # the mean so far
        mean += (probabilities(one) - mean) / k
        right.append(float((mean.argmax(axis=1) == yt).mean()))
        off.append(float(np.sqrt(np.mean((logits - scaled) ** 2))))
    accuracy = float((scaled.argmax(axis=1) == yt).mean())
    certain = [float(each.max(axis=1).mean()) for each in (mean, probabilities(scaled))]
    count = np.arange(1, masks + 1)

    def draw(figure: Any) -> None:
        left, right_ax = figure.subplots(1, 2)
        left.semilogx(count, right, label="mean of this many masks")
        left.axhline(accuracy, color="C1", ls="--", label="scaled, without a mask")
        left.axhline(alone, color="C2", ls=":", label="one mask, on average")
        left.set(xlabel="masks", ylabel="accuracy on test images", title="Right answers")
        left.legend(loc="center right")
        right_ax.loglog(count, off, label="logits of this many masks - scaled")
        right_ax.loglog(count, off[0] / np.sqrt(count), "k:", lw=1, label="1 / sqrt(masks)")
        right_ax.set(xlabel="masks", ylabel="root mean square", title="Difference of mean logits")
        right_ax.legend(loc="lower left")

    return Result(
        numbers={
            "accuracy with one mask, on average": alone,
            f"accuracy of the mean of {masks:,} masks": right[-1],
            "accuracy of the scaled network": accuracy,
            "difference of logits, 1 mask": off[0],
            f"difference of logits, {masks:,} masks": off[-1],
            "largest probability, mean of masks": certain[0],
            "largest probability, scaled network": certain[1],
        },
        see={
            "en": f"One mask alone is right for {alone:.1%}, the mean of {masks:,} for "
            f"{right[-1]:.1%}, and the scaled network, in a single pass, for {accuracy:.1%}. The "
            "mean logits approach the scaled ones as 1/sqrt(masks), since the layer behind the "
            "mask is linear. The softmax is not: the masks disagree, so their mean probabilities "
            f"are less certain, {certain[0]:.2f} for the largest against {certain[1]:.2f}.",
            "zh": f"单个掩码的平均精度为 {alone:.1%}，{masks} 个掩码取平均为 {right[-1]:.1%}，"
            f"而缩放后的网络只需一次前向传播就达到 {accuracy:.1%}。掩码之后的层是线性的，所以 "
            "logits "
            "的平均值按 1/√(掩码数) 趋近缩放后的 logits。softmax 则不是线性的：各掩码的意见不一，"
            f"概率取平均后不那么确定，最大概率平均为 {certain[0]:.2f}，缩放后的网络为 "
            f"{certain[1]:.2f}。",
        },
        found=min(right[-1], accuracy) > alone + 0.02
        and abs(right[-1] - accuracy) <= 0.02
        and bool(0.3 < off[-1] / off[0] * np.sqrt(masks) < 3)
        and certain[0] < certain[1] - 0.02,
        draw=draw,
        size=(10.0, 4.5),
        data={"masks": count, "accuracy": right, "difference": off},
    )
