"""What five layers put out: saturated, all alike, or spread, by the scale of the weights."""

from __future__ import annotations

from typing import Any

import numpy as np

import deepfs as dfs
from deepfs import layers as L

from .._experiment import Result, experiment

ACTIVATIONS = {"sigmoid": L.Sigmoid, "tanh": L.Tanh, "ReLU": L.ReLU}
LAYERS = 5


@experiment(
    en="Histograms of five layers for weights of std 1, 0.01, Xavier and He",
    zh="权重标准差取 1、0.01、Xavier、He 时五层激活值的直方图",
)
def activation_histograms(
    units: int = 100, samples: int = 1000, *, seed: int = 0, quick: bool = False
) -> Result:
    """Pass normal noise through five layers, and look at the outputs of each.

    A sum of n products of inputs and weights has n times their variance. Xavier's 1/n keeps the
    variance where the activation is nearly linear; a ReLU loses half of the mean square, so that
    He takes 2/n.
    """
    samples = min(samples, 300) if quick else samples
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(samples, units)).astype(np.float32)
    scales = {"1": 1.0, "0.01": 0.01, "Xavier": np.sqrt(1 / units), "He": np.sqrt(2 / units)}
    outputs = {}
    for kind, activation in ACTIVATIONS.items():
        for name, std in scales.items():
            weights, x = dfs.initializers.Normal(float(std)), noise
            net = L.Sequential(
                [
                    part
                    for _ in range(LAYERS)
                    for part in (L.Dense(units, False, weights), activation())
                ]
            )
            model = dfs.Model(net, dfs.losses.MeanSquaredError(), dfs.optimizers.SGD(), seed=seed)
            names = [f"{activation.__name__.lower()}_{k + 1}" for k in range(LAYERS)]
            found = model.outputs_of(x, names)
            outputs[kind, name] = [found[layer] for layer in names]
    std = {key: [float(h.std()) for h in found] for key, found in outputs.items()}
    edge = np.mean([np.minimum(h, 1 - h) < 0.05 for h in outputs["sigmoid", "1"][1:]])
    keeps = std["ReLU", "He"][-1] / std["ReLU", "He"][0]
    shrinks = std["ReLU", "Xavier"][-1] / std["ReLU", "Xavier"][0]

    def draw(figure: Any) -> None:
        axes = figure.subplots(len(ACTIVATIONS), len(scales), sharex=True)
        for ax, ((kind, name), found) in zip(axes.flat, outputs.items(), strict=True):
            low = {"sigmoid": 0.0, "tanh": -1.0, "ReLU": 0.0}[kind]
            high = 1.0 if kind != "ReLU" else float(np.quantile(np.concatenate(found), 0.995))
            for k, h in enumerate(found):
                count, edges = np.histogram(h, bins=30, range=(low, high))
                # a ReLU's zeros would dwarf the rest: their bar is cut
                longest = count[1:].max() if kind == "ReLU" and count[1:].any() else count.max()
                width = 0.9 * np.minimum(count / longest, 1)
                ax.barh(
                    edges[:-1], width, edges[1] - edges[0], k + 0.6, align="edge", color=f"C{k}"
                )
            ax.set(xticks=range(1, LAYERS + 1))
            ax.set_title(f"std {std[kind, name][-1]:.2g}", fontsize=8)
            ax.tick_params(labelsize=7)
        for ax, name in zip(axes[0], scales, strict=True):
            title = f"weights of std {name}" if name[0] in "01" else f"weights of {name}"
            ax.set_title(f"{title}\n{ax.get_title()}", fontsize=9)
        for row, kind in zip(axes, ACTIVATIONS, strict=True):
            row[0].set_ylabel(f"output of {kind}", fontsize=9)
        for ax in axes[-1]:
            ax.set_xlabel("layer", fontsize=9)
        figure.suptitle(
            "outputs of each layer, and their standard deviation in layer 5", fontsize=11
        )

    return Result(
        numbers={
            f"std in layer {LAYERS}, {kind}, weights {name}": std[kind, name][-1]
            for kind, name in outputs
        }
        | {
            "share of sigmoids near 0 or 1, weights 1": float(edge),
            "std in layer 5 over layer 1, ReLU, Xavier": shrinks,
            "std in layer 5 over layer 1, ReLU, He": keeps,
        },
        see={
            "en": "With std 1, sigmoid and tanh are at their ends, where their derivative is "
            "nearly 0, and ReLUs grow from layer to layer. With std 0.01, all neurons put out "
            "nearly the same, so that many are no better than one. Xavier keeps the outputs of "
            "tanh spread. With ReLU it loses a factor of about the root of 2 per layer, and He's "
            "factor 2 restores it.",
            "zh": "标准差为 1 时，sigmoid 和 tanh 的输出集中在两端，那里导数接近 0；ReLU "
            "的输出则逐层增大。标准差为 0.01 时，所有神经元的输出几乎相同，"
            "多个神经元就没有意义了。Xavier 初始值让 tanh 的输出保持适当的广度；对 ReLU，"
            "它每层约缩小到 1/√2，而 He 初始值中的系数 2 正好补上。",
        },
        found=bool(
            edge > 0.6
            and std["sigmoid", "0.01"][-1] < 0.02 < 2 * 0.02 < std["sigmoid", "Xavier"][-1]
            and std["tanh", "0.01"][-1] < 1e-4 < 0.2 < std["tanh", "Xavier"][-1] < 0.6
            and std["ReLU", "1"][-1] > 100 * std["ReLU", "1"][0]
            and shrinks < 0.4 < 0.6 < keeps < 1.7
        ),
        draw=draw,
        size=(9.0, 6.0),
        data={"std": std, "outputs": outputs},
    )
