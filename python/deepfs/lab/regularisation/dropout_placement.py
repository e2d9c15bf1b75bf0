"""Dropout before the activation or after it: the same for ReLU, not for sigmoid and tanh."""

from __future__ import annotations

from typing import Any

import numpy as np

import deepfs as dfs
from deepfs import layers as L

from .._experiment import Result, experiment


@experiment(
    en="Dropout before and after the activation: the same for ReLU only",
    zh="Dropout 放在激活函数之前与之后：只有 ReLU 两者相同",
)
def dropout_placement(
    p: float = 0.5, masks: int = 20_000, *, seed: int = 0, quick: bool = False
) -> Result:
    """Apply the same masks before and after ReLU, tanh and sigmoid, to inputs from -4 to 4.

    A mask sets to 0 or multiplies by 1 / (1 - p), which is never negative, so that ReLU
    passes it on: f(m x) = m f(x). Sigmoid and tanh do not, and sigmoid(0) is 0.5.
    """
    masks = min(masks, 1000) if quick else masks
    x = np.linspace(-4, 4, 41)
    batch = np.tile(x, (masks, 1))  # a row for each mask
    kinds: dict[str, L.Layer] = {"ReLU": L.ReLU(), "tanh": L.Tanh(), "sigmoid": L.Sigmoid()}
    curves, numbers = {}, {}
    for kind, f in kinds.items():
        outputs = {}
        for place in ("before", "after"):
            net = L.Sequential([L.Dropout(p), f] if place == "before" else [f, L.Dropout(p)])
            model = dfs.Model(net, "mse", dfs.optimizers.SGD(0.1), seed=seed)
            model.predict(batch[:1])  # builds it; models of one seed draw the same masks
            outputs[place], _ = net.forward(batch, training=True)
        plain = f(x[None])[0]
        apart = np.abs(outputs["before"] - outputs["after"]).max()
        numbers[f"{kind}: largest difference, before and after"] = float(apart)
        curves[kind] = {"without dropout": plain}
        for place in ("after", "before"):
            curves[kind][place] = outputs[place].mean(axis=0)
            error = np.sqrt(np.mean((curves[kind][place] - plain) ** 2))
            numbers[f"{kind}: error of the mean, dropout {place}"] = float(error)

    def draw(figure: Any) -> None:
        for ax, (kind, lines) in zip(figure.subplots(1, 3), curves.items(), strict=True):
            for (label, values), style in zip(lines.items(), ("k-", "C0--", "C1:"), strict=True):
                label = label if label == "without dropout" else f"dropout {label}, mean"
                ax.plot(x, values, style, lw=2 if style == "C1:" else 1.2, label=label)
            ax.set(xlabel="input of the unit", title=kind)
        figure.axes[0].set_ylabel(f"output, mean of {masks:,} masks")
        figure.axes[0].legend()

    return Result(
        numbers=numbers,
        see={
            "en": "With the same masks, a ReLU gives the same bits with dropout before it and "
            "behind it. Behind a sigmoid or tanh the mean over masks is what inference computes; "
            "before one it is not: a dropped unit sends sigmoid(0) = 0.5 on, and a scaled input is "
            "squashed. So put dropout behind the activation.",
            "zh": "掩码相同时，Dropout 放在 ReLU 之前或之后，输出逐位相同。"
            "放在 sigmoid 或 tanh 之后，对掩码取平均就是推理时的输出；放在之前则不然："
            "被丢弃的单元会输出 sigmoid(0) = 0.5，放大的输入又被压缩。因此 Dropout "
            "应放在激活函数之后。",
        },
        found=numbers["ReLU: largest difference, before and after"] == 0
        and all(
            numbers[f"{kind}: error of the mean, dropout before"]
            > 3 * numbers[f"{kind}: error of the mean, dropout after"]
            for kind in ("tanh", "sigmoid")
        ),
        draw=draw,
        size=(11.0, 4.0),
        data={"x": x, **curves},
    )
