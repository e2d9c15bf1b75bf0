"""How the inputs of a layer move while the layers before it learn, without and with batch norm."""

from __future__ import annotations

from typing import Any

import numpy as np

import deepfs as dfs
from deepfs import layers as L

from .._experiment import Result, experiment
from ._shared import classifier, digits, network, train

KINDS = {"without": None, "with batch norm": L.BatchNorm}


@experiment(
    en="Internal covariate shift: how the inputs of a layer move in training",
    zh="内部协变量偏移：训练中某一层输入的分布如何移动",
)
def covariate_shift(
    rate: float = 0.5, steps: int = 2000, *, seed: int = 0, quick: bool = False, full: bool = False
) -> Result:
    """Train three layers of sigmoids, and record what the last of them receives for 300 images.

    This is figure 1 of Ioffe and Szegedy, "Batch normalization", 2015, arXiv:1502.03167: 15th, 50th
    and 85th percentiles of the input of a sigmoid in the last hidden layer.
    """
    (x, y), (xt, yt) = digits(full)
    units, between = 100, 40
    if quick:
        units, between, steps = 50, 10, min(steps, 200)
    probe = xt[:300]
    seen, accuracy = {}, {}
    for kind, norm in KINDS.items():
        net = network(
            [units] * 3, norm, activation=L.Sigmoid, initializer=dfs.initializers.GlorotNormal()
        )
        model = classifier(net, rate, seed)
        model.predict(x[:1])  # builds the layers
        front = net[:-2]  # all but the last sigmoid and the outputs
        records, right = [front.forward(probe, training=True)[0]], []
        for k in range(steps // between):
            train(model, x, y, 60, between, seed + 1000 * k)
            records.append(front.forward(probe, training=True)[0])
            right.append(model.evaluate(probe, yt[:300])["accuracy"])
        seen[kind] = np.array(records)  # (times, images, units)
        accuracy[kind] = [float(a) for a in right]
    mean = {kind: found.mean(axis=1) for kind, found in seen.items()}
    std = {kind: found.std(axis=1) for kind, found in seen.items()}
    shift = {  # from record to record, in standard deviations
        kind: float(np.mean(np.abs(np.diff(mean[kind], axis=0)) / std[kind][:-1])) for kind in KINDS
    }
    growth = {kind: float((std[kind][-1] / std[kind][0]).mean()) for kind in KINDS}

    def draw(figure: Any) -> None:
        axes = figure.subplots(1, 2, sharey=True)
        at = between * np.arange(len(seen["without"]))
        for ax, (kind, found) in zip(axes, seen.items(), strict=True):
            low, middle, high = np.percentile(found[:, :, 0], (15, 50, 85), axis=1)
            ax.fill_between(at, low, high, alpha=0.3, label="15th to 85th percentile")
            ax.plot(at, middle, label="median")
            ax.set(xlabel="training steps", title=f"{kind}: {100 * accuracy[kind][-1]:.0f} % right")
        axes[0].set_ylabel("input of a sigmoid in hidden layer 3")
        axes[0].legend()

    return Result(
        numbers={
            f"shift of the mean in {between} steps, in std, {kind}": shift[kind] for kind in KINDS
        }
        | {f"std at the end over std at the start, {kind}": growth[kind] for kind in KINDS}
        | {
            f"accuracy on these images, mean over the training, {kind}": float(
                np.mean(accuracy[kind])
            )
            for kind in KINDS
        },
        see={
            "en": "Without batch norm, the last layer gets inputs whose mean moves and whose "
            "spread grows, so it has to learn anew. Batch norm fixes both, except for its own "
            "gamma and beta, and the network learns sooner. Whether it does so because of this is "
            "disputed: Santurkar et al. 2018 (arXiv:1805.11604) found that batch norm helps as "
            "much if the shift is put back, and see the reason in a smoother loss.",
            "zh": "没有批归一化时，最后一层输入的均值不断移动，分布的范围不断变大，"
            "这一层必须反复适应。批归一化把均值和方差固定下来，只通过自己的 γ 和 β 改变，"
            "网络学得更快。这是否就是学得更快的原因尚有争议：Santurkar 等人 2018 "
            "年（arXiv:1805.11604）发现，人为加回偏移后批归一化同样有效，"
            "他们认为真正的原因是损失函数变得更平滑。",
        },
        found=shift["without"] > 10 * shift["with batch norm"]
        and growth["without"] > 1.5 * growth["with batch norm"]
        and bool(np.mean(accuracy["with batch norm"]) > np.mean(accuracy["without"]) + 0.05),
        draw=draw,
        size=(9.0, 4.0),
        data={"seen": seen, "mean": mean, "std": std, "accuracy": accuracy},
    )
