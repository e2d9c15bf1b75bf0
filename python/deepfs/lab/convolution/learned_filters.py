"""The filters of the first layer before and after training."""

from __future__ import annotations

from typing import Any

import numpy as np

import deepfs as dfs

from .._experiment import Result, experiment


@experiment(
    en="Filters before and after training: from noise to edges",
    zh="训练前后的滤波器：从随机噪声到边缘",
)
def learned_filters(
    epochs: int = 6, *, seed: int = 0, quick: bool = False, full: bool = False
) -> Result:
    """Train the textbook's SimpleConvNet, and compare neighbouring weights of its 30 filters 5x5.

    The correlation of neighbours is near 0 in noise, and positive where light and dark areas form.
    """
    (x, y), _ = dfs.datasets.mnist() if full else dfs.datasets.mnist_mini()
    if quick:
        x, y, epochs = x[:1500], y[:1500], 2
    untrained, model = network(seed, x), network(seed, x)
    model.fit(x, y, batch_size=50, epochs=epochs, verbose=0)
    before = untrained.get_weights()["conv2d_1.weight"]
    after = model.get_weights()["conv2d_1.weight"]

    def draw(figure: Any) -> None:
        for ax, (title, shown) in zip(
            figure.subplots(1, 2),
            (("before training", untrained), ("after training", model)),
            strict=True,
        ):
            dfs.plots.filters(shown, "conv2d_1", columns=6, ax=ax)
            w = shown.get_weights()["conv2d_1.weight"]
            ax.set_title(f"{title}: neighbours correlate by {neighbours(w):.2f}")

    return Result(
        numbers={
            "correlation of neighbours before": neighbours(before),
            "correlation of neighbours after": neighbours(after),
            "standard deviation of the weights before": float(before.std()),
            "standard deviation of the weights after": float(after.std()),
        },
        see={
            "en": "Before training a filter is noise. Afterwards, light and dark areas lie side by "
            "side: edges in several directions. The correlation of neighbouring weights "
            "says so in one number: 0 in noise, and far above it in what was learned.",
            "zh": "训练前的滤波器只是随机噪声；训练后出现了连片的明暗区域："
            "也就是不同方向的边缘。相邻权重的相关系数用一个数说明了这一点："
            "噪声时约为 0，学习之后明显大于 0。",
        },
        found=bool(
            abs(neighbours(before)) < 0.15
            and neighbours(after) > neighbours(before) + 0.2
            and after.std() > 2 * before.std()
        ),
        draw=draw,
        size=(9.0, 4.8),
        data={"before": before, "after": after},
    )


def network(seed: int, x: Any) -> dfs.Model:
    """Return a model that is built, but not trained; equal seeds give equal weights."""
    net, adam = dfs.networks.simple_convnet(), dfs.optimizers.Adam()
    model = dfs.Model(net, dfs.losses.CrossEntropy(), adam, seed=seed)
    model.predict(x[:1])  # the first input builds the network
    return model


def neighbours(weight: Any) -> float:
    """Return the mean correlation of weights side by side and one above the other."""
    filters = weight[:, 0] - weight[:, 0].mean(axis=(1, 2), keepdims=True)
    beside = (filters[:, :, 1:] * filters[:, :, :-1]).mean(axis=(1, 2))
    below = (filters[:, 1:] * filters[:, :-1]).mean(axis=(1, 2))
    return float(np.mean((beside + below) / 2 / (filters**2).mean(axis=(1, 2))))
