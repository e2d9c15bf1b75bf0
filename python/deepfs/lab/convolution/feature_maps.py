"""Feature maps of a trained network: what its layers make of a digit, and how well it separates."""

from __future__ import annotations

from typing import Any

import numpy as np

import deepfs as dfs

from .._experiment import Result, experiment

LAYERS = ("relu_1", "relu_2", "relu_3")


@experiment(
    en="Feature maps: deeper layers have fewer pixels, more zeros, and classes that lie apart",
    zh="特征图：层越深，像素越少、零越多，各类别也分得越开",
)
def feature_maps(digit: int = 3, *, seed: int = 0, quick: bool = False) -> Result:
    """Show what the pretrained network of the digits 0 to 4 computes from one of them.

    How well a layer separates the classes: the mean of each class is taken over training images,
    and a test image is given to the nearest one, by the distance of all numbers of the layer.
    """
    net = dfs.networks.pretrained()
    model = dfs.Model(net, dfs.losses.CrossEntropy(), dfs.optimizers.SGD(0.1), seed=seed)
    (x, y), (xt, yt) = dfs.datasets.mnist_mini()
    count = 200 if quick else 2000
    (x, y), (xt, yt) = known(x, y, count), known(xt, yt, count)
    image = xt[yt == digit][0]

    learned, tested = outputs(model, x), outputs(model, xt)
    accuracy = {name: nearest_mean(learned[name], y, tested[name], yt) for name in tested}
    zeros = {name: float((tested[name] == 0).mean()) for name in LAYERS}

    def draw(figure: Any) -> None:
        axes = figure.subplots(1, 4)
        axes[0].imshow(image[0], cmap="gray")
        axes[0].set(xticks=[], yticks=[])
        axes[0].set_title(f"a {digit}: nearest mean {accuracy['pixels']:.1%}", fontsize=10)
        for ax, name in zip(axes[1:], LAYERS, strict=True):
            dfs.plots.feature_maps(model, image, name, count=16, columns=4, ax=ax)
            _, c, h, w = tested[name].shape
            ax.set_title(
                f"{name}: {c} maps {h}x{w},\n{zeros[name]:.0%} zeros, "
                f"nearest mean {accuracy[name]:.1%}",
                fontsize=10,
            )

    return Result(
        numbers={
            **{f"zeros after {name}": zeros[name] for name in LAYERS},
            **{f"right by the nearest mean, {name}": value for name, value in accuracy.items()},
        },
        see={
            "en": "The first maps still look like the digit, with some of its edges; the last ones "
            "are 7x7 and mostly zero, and each tells whether one pattern is there, and roughly "
            "where. The classes move apart: the nearest mean of a class is right far more often "
            "among the numbers of the last layer than among pixels.",
            "zh": "最初的特征图看上去仍像原来的数字，突出了部分边缘；最后的特征图只有 7x7，"
            "大部分为零，每一张表示某种图案是否出现、大致在哪里。各类别也分得更开："
            "用离各类平均值最近的方法分类，在最后一层上的正确率远高于直接用像素。",
        },
        found=bool(
            zeros["relu_1"] < zeros["relu_2"] < zeros["relu_3"]
            and accuracy["relu_3"] > accuracy["pixels"] + 0.02
            and accuracy["relu_3"] > accuracy["relu_1"] + 0.02
        ),
        draw=draw,
        size=(12.0, 3.6),
        data={"accuracy": accuracy, "zeros": zeros, "shapes": {n: tested[n].shape for n in LAYERS}},
    )


def known(x: Any, y: Any, count: int) -> Any:
    """Return the first images of the digits 0 to 4."""
    digits = np.flatnonzero(y < 5)[:count]
    return x[digits], y[digits]


def outputs(model: dfs.Model, x: Any) -> dict[str, Any]:
    """Return the pixels and the outputs of the layers by name."""
    return {"pixels": x, **model.outputs_of(x, LAYERS)}


def nearest_mean(learned: Any, y: Any, tested: Any, yt: Any) -> float:
    """Return the share of samples whose nearest class mean is that of their own class."""
    means = [learned[y == label].mean(axis=0) for label in range(5)]
    distances = [((tested - mean) ** 2).sum(axis=(1, 2, 3)) for mean in means]
    return float((np.argmin(distances, axis=0) == yt).mean())
