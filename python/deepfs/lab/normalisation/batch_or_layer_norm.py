"""Batch norm needs a batch: of few samples its statistics are noise; layer norm needs one."""

from __future__ import annotations

from typing import Any

import numpy as np

from deepfs import layers as L

from .._experiment import Result, experiment
from ._shared import classifier, digits, network, train

NORMS = {"batch norm": L.BatchNorm, "layer norm": L.LayerNorm}


def change_by_others(net: L.Layer, x: Any, size: int, seed: int) -> float:
    """Return how much the outputs of one sample vary with the others of its batch."""
    rng, outputs = np.random.default_rng(seed), []
    for _ in range(30):
        batch = np.concatenate([x[:1], x[rng.choice(len(x) - 1, size - 1, replace=False) + 1]])
        outputs.append(net.forward(batch, training=True)[0][0])
    return float(np.std(outputs, axis=0).mean() / np.std(outputs))


@experiment(
    en="Batch norm against layer norm, over the size of the batch",
    zh="不同批大小下批归一化与层归一化的比较",
)
def batch_or_layer_norm(
    rate: float = 0.05, steps: int = 600, *, seed: int = 0, quick: bool = False, full: bool = False
) -> Result:
    """Train with batches of 2 to 64 samples, the same number of steps.

    Batch norm takes mean and variance of each feature over the batch, layer norm those of each
    sample over its features: Ba, Kiros and Hinton, "Layer normalization", 2016, arXiv:1607.06450.
    """
    (x, y), (xt, yt) = digits(full)
    hidden, sizes = [100, 100], [2, 4, 8, 16, 32, 64]
    if quick:
        hidden, sizes, steps = [40, 40], [2, 8, 64], min(steps, 150)
    accuracy: dict[str, list[float]] = {kind: [] for kind in NORMS}
    change: dict[str, list[float]] = {kind: [] for kind in NORMS}
    for kind, norm in NORMS.items():
        for size in sizes:
            net = network(hidden, norm)
            model = classifier(net, rate, seed)
            train(model, x, y, size, steps, seed)
            accuracy[kind].append(float(model.evaluate(xt, yt)["accuracy"]))
            change[kind].append(change_by_others(net, x, size, seed))

    def draw(figure: Any) -> None:
        left, right = figure.subplots(1, 2)
        for kind, style in zip(NORMS, ["o-", "s--"], strict=True):
            left.semilogx(sizes, accuracy[kind], style, label=kind)
            right.semilogx(sizes, change[kind], style, label=kind)
        left.set(ylabel="accuracy on test images", title=f"after {steps} steps")
        right.set(
            ylabel="variation, relative to all outputs",
            title="outputs of one sample, by the others",
        )
        for ax in (left, right):
            ax.set_xticks(sizes, [str(size) for size in sizes])
            ax.set_xticks([], minor=True)
            ax.set_xlabel("samples in a batch")
            ax.legend()

    return Result(
        numbers={
            f"accuracy with batches of {sizes[k]}, {kind}": accuracy[kind][k]
            for k in (0, -1)
            for kind in NORMS
        }
        | {
            f"variation by the others, batches of {sizes[k]}, {kind}": change[kind][k]
            for k in (0, -1)
            for kind in NORMS
        },
        see={
            "en": "With large batches both learn equally well. With 2 samples, mean and variance "
            "of batch norm are noise: the output of a sample depends on which other sample it "
            "meets, and the running statistics fit badly; of 1 sample there is no variance at "
            "all, and deepfs refuses it. Layer norm looks at one sample only, so the others "
            "change nothing: its variation is 0 but for rounding.",
            "zh": "批较大时两者一样好。每批只有 2 个样本时，批归一化的均值和方差全是噪声："
            "一个样本的输出取决于它和谁分在一批，运行统计量也不合适；只有 1 个样本时根本没有方差，"
            "deepfs 会拒绝。层归一化只看一个样本自身的特征，与同批的其他样本无关：除舍入误差外，"
            "变化为 0。",
        },
        found=accuracy["layer norm"][0] > accuracy["batch norm"][0] + 0.05
        and accuracy["batch norm"][-1] > accuracy["layer norm"][-1] - 0.05
        and max(change["layer norm"]) < 1e-5 < 0.02 < min(change["batch norm"])
        and change["batch norm"][0] > 2 * change["batch norm"][-1],
        draw=draw,
        size=(9.0, 4.0),
        data={"sizes": sizes, "accuracy": accuracy, "change": change},
    )
