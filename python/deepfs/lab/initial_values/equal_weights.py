"""Weights that start equal stay equal: all neurons of a layer learn the same, as one neuron."""

from __future__ import annotations

from typing import Any

import numpy as np

import deepfs as dfs
from deepfs import layers as L

from .._experiment import Result, experiment
from ._shared import dense_network, digits

STARTS = {
    "all zero": dfs.initializers.Zeros(),
    "all equal": dfs.initializers.Constant(0.01),
    "random": dfs.initializers.GlorotNormal(),
}


@experiment(
    en="All weights zero or equal: the neurons of a layer stay equal",
    zh="权重全为零或全部相等：同一层的神经元始终相同",
)
def equal_weights(
    neurons: int = 8,
    rate: float = 0.5,
    *,
    seed: int = 0,
    quick: bool = False,
    full: bool = False,
) -> Result:
    """Train a hidden layer of sigmoids from weights all 0, all 0.01, and random.

    Neurons with the same weights have the same outputs and, if the weights behind them are equal
    too, the same gradients. So each step changes them alike, and the layer can do no more than one
    neuron can.
    """
    x, y = digits(full)
    if quick:
        x, y = x[:1000], y[:1000]
    weights, apart, accuracy = {}, {}, {}
    for start, initializer in STARTS.items():
        net = dense_network([neurons], L.Sigmoid, initializer)
        model = dfs.Model(net, dfs.losses.CrossEntropy(), dfs.optimizers.SGD(rate), seed=seed)
        model.fit(x, y, batch_size=50, epochs=5 if quick else 10, verbose=False)
        w = net["dense_1"].get_weights()["weight"]  # (pixels, neurons)
        weights[start], apart[start] = w, float(np.ptp(w, axis=1).max())
        accuracy[start] = float(model.evaluate(x, y)["accuracy"])
    moved = float(np.abs(weights["all zero"]).max())

    def draw(figure: Any) -> None:
        axes = figure.subplots(len(STARTS), neurons)
        for row, (start, w) in zip(axes, weights.items(), strict=True):
            limit = np.abs(w).max()
            for k, ax in enumerate(row):
                ax.imshow(w[:, k].reshape(28, 28), cmap="RdBu", vmin=-limit, vmax=limit)
                ax.set(xticks=[], yticks=[])
            row[0].set_ylabel(f"{start}\n{100 * accuracy[start]:.0f} % right", fontsize=9)
        for k, ax in enumerate(axes[0]):
            ax.set_title(f"neuron {k + 1}", fontsize=9)
        figure.suptitle("weights after training, by their values at the start", fontsize=11)

    return Result(
        numbers={
            **{f"largest difference of two neurons, {start}": apart[start] for start in STARTS},
            "largest weight reached from all zero": moved,
            **{f"accuracy on the training images, {start}": accuracy[start] for start in STARTS},
        },
        see={
            "en": "The neurons of the first two rows learn, but all learn the same: they start "
            "equal, so they get equal gradients in each step. Eight such neurons can do no more "
            "than one. Random weights make the neurons different, and each finds a feature of its "
            "own.",
            "zh": "前两行的神经元也在学习，但学到的完全相同：初始值相等，每一步的梯度就相等。"
            "这样的八个神经元并不比一个神经元更强。随机的初始值打破了对称性，"
            "每个神经元各自学到不同的特征。",
        },
        found=max(apart["all zero"], apart["all equal"]) < 1e-5 < 0.02 < min(apart["random"], moved)
        and accuracy["random"] > max(accuracy["all zero"], accuracy["all equal"]) + 0.25,
        draw=draw,
        size=(8.0, 3.9),
        data={"weights": weights},
    )
