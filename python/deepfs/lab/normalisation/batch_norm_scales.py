"""Batch norm on 16 scales of initial weights: it learns from most, without it from one or two."""

from __future__ import annotations

from typing import Any

import numpy as np

import deepfs as dfs
from deepfs import layers as L

from .._experiment import Result, experiment
from ._shared import classifier, digits, network, train


@experiment(
    en="Batch norm on 16 scales of the initial weights",
    zh="批归一化对 16 种初始权重尺度的影响",
)
def batch_norm_scales(
    rate: float = 0.01,
    epochs: int = 20,
    *,
    seed: int = 0,
    quick: bool = False,
    full: bool = False,
) -> Result:
    """Train five hidden layers of 100 ReLUs on 1,000 images, from std 1 to 0.0001.

    The settings are those of the book: SGD, batches of 100. A layer behind a batch norm does not
    depend on the scale of the weights before it, only on their direction.
    """
    (x, y), _ = digits(full)
    hidden, samples, size = [100] * 5, 1000, 100
    if quick:  # a smaller network, larger steps
        hidden, samples, size, rate, epochs = [30] * 4, 300, 50, 10 * rate, min(epochs, 8)
    x, y = x[:samples], y[:samples]
    stds = np.logspace(0, -4, 16)
    curves: dict[str, list[list[float]]] = {"with batch norm": [], "without": []}
    for std in stds:
        for kind, norm in (("with batch norm", L.BatchNorm), ("without", None)):
            net = network(hidden, norm, initializer=dfs.initializers.Normal(float(std)))
            model, curve = classifier(net, rate, seed), []
            for epoch in range(epochs):
                losses = train(model, x, y, size, samples // size, seed + 1000 * epoch)
                if not np.isfinite(losses[-1]):
                    curve += [0.1] * (epochs - epoch)  # as good as a guess from here on
                    break
                curve.append(float(model.evaluate(x, y)["accuracy"]))
            curves[kind].append(curve)
    last = {kind: np.array([curve[-1] for curve in found]) for kind, found in curves.items()}
    k = int(last["without"].argmax())  # the scale that suits the plain network
    learnt = {kind: int((found > 0.4).sum()) for kind, found in last.items()}

    def draw(figure: Any) -> None:
        axes = figure.subplots(4, 4, sharex=True, sharey=True)
        for i, ax in enumerate(axes.flat):
            for (kind, found), style in zip(curves.items(), ["-", "--"], strict=True):
                ax.plot(range(1, epochs + 1), found[i], style, label=kind)
            ax.set(ylim=(0, 1.02))
            ax.set_title(f"std {stds[i]:.2g}", fontsize=8)
            ax.tick_params(labelsize=7)
        figure.supxlabel("epoch", fontsize=10)
        figure.supylabel("accuracy on the training images", fontsize=10)
        figure.suptitle("accuracy from weights of 16 scales", fontsize=11)
        axes[-1, -1].legend(loc="center right", fontsize=8)

    return Result(
        numbers={f"scales of 16 with more than 40 % right, {kind}": learnt[kind] for kind in learnt}
        | {f"mean accuracy, {kind}": float(found.mean()) for kind, found in last.items()}
        | {f"best accuracy, {kind}": float(found.max()) for kind, found in last.items()},
        see={
            "en": f"With batch norm {learnt['with batch norm']} of the 16 networks learn, without "
            f"it {learnt['without']}. Without it, small weights make outputs and gradients vanish "
            "from layer to layer, and large ones make the loss diverge. Where the scale suits the "
            f"plain network, std {stds[k]:.2g}, batch norm is not needed: "
            f"{last['without'][k]:.0%} right without it, {last['with batch norm'][k]:.0%} with it.",
            "zh": f"使用批归一化时，16 个网络中有 {learnt['with batch norm']} 个能够学习；"
            f"不使用时只有 {learnt['without']} 个：权重太小，输出和梯度逐层消失；权重太大，"
            f"损失发散。在适合普通网络的尺度（标准差 {stds[k]:.2g}）上并不需要批归一化："
            f"不使用时正确率为 {last['without'][k]:.0%}，使用时为 "
            f"{last['with batch norm'][k]:.0%}。",
        },
        found=learnt["with batch norm"] >= 9 > 4 >= learnt["without"]
        and bool(last["with batch norm"].mean() > last["without"].mean() + 0.3),
        draw=draw,
        size=(8.5, 6.5),
        data={"stds": stds, "curves": curves, "last": last},
    )
