"""A large network on 300 digits: plain, with weight decay, with dropout, with both."""

from __future__ import annotations

from typing import Any

import numpy as np

import deepfs as dfs

from .._experiment import Result, experiment
from ._shared import dense_network, digits, scores


@experiment(
    en="Overfitting on 300 digits; weight decay, dropout and both narrow the gap",
    zh="在 300 张数字图像上过拟合；权值衰减、Dropout 及两者并用可缩小差距",
)
def overfitting(
    decay: float = 0.1,
    p: float = 0.2,
    images: int = 300,
    epochs: int = 300,
    *,
    seed: int = 0,
    quick: bool = False,
    full: bool = False,
) -> Result:
    """Train a network of six hidden layers of 100 units on a few digits, in four ways.

    ``decay`` is the rate of L2, ``p`` the probability of dropping. All settings are the book's
    (section 6.4), which has dropout without division in training: ``scaling="test"``. For both
    together the decay is a tenth: with all of it this network does not learn at all.
    """
    hidden, units, rate = (5, 50, 0.05) if quick else (6, 100, 0.01)
    epochs = min(epochs, 80) if quick else epochs
    every = max(1, epochs // (6 if quick else 60))
    train, test = digits(images, full)
    ways = {
        "plain": (0.0, 0.0),
        "weight decay": (decay, 0.0),
        "dropout": (0.0, p),
        "both": (decay / 10, p),
    }
    seen = np.arange(every, epochs + 1, every)
    curves: dict[str, Any] = {}
    for way, (l2, drop) in ways.items():
        net = dense_network([drop] * hidden, units, scaling="test")
        sgd = dfs.optimizers.SGD(rate, weight_decay=l2)
        model = dfs.Model(net, "cross_entropy", sgd, seed=seed)
        points = []
        for _ in seen:
            model.fit(*train, batch_size=100, epochs=every, verbose=0)
            points.append(scores(model, train, test))
        curves[way] = np.array(points)  # columns: accuracy and loss in training, in the test

    gap = {way: float(rows[-1, 3] - rows[-1, 1]) for way, rows in curves.items()}
    numbers = {}
    for way, rows in curves.items():
        numbers[f"{way}: accuracy on training images"] = float(rows[-1, 0])
        numbers[f"{way}: accuracy on test images"] = float(rows[-1, 2])
        numbers[f"{way}: test loss - training loss"] = gap[way]

    def draw(figure: Any) -> None:
        axes = figure.subplots(2, 4, sharex=True, sharey="row")
        for column, (way, rows) in zip(axes.T, curves.items(), strict=True):
            for ax, k in zip(column, (0, 1), strict=True):
                ax.plot(seen, rows[:, k], label="training images")
                ax.plot(seen, rows[:, k + 2], "--", label="test images")
            column[0].set_title(way)
            column[1].set_xlabel("epoch")
        axes[0, 0].set(ylabel="accuracy", ylim=(0, 1.05))
        axes[1, 0].set(ylabel="loss", ylim=(0, None))
        axes[0, 0].legend(loc="lower right")

    return Result(
        numbers=numbers,
        see={
            "en": f"The plain network learns all of its {images} images by heart: training "
            "accuracy "
            f"{curves['plain'][-1, 0]:.0%}, test accuracy {curves['plain'][-1, 2]:.0%}, and the "
            "test loss rises while the training loss goes to 0. Weight decay and dropout narrow "
            "the gap, here by learning less of the training images: test accuracy does not rise. "
            "Networks with dropout learn more slowly; give them more epochs, and see.",
            "zh": f"不加正则化的网络把 {images} 张图像全部背了下来：训练精度 "
            f"{curves['plain'][-1, 0]:.0%}，测试精度 {curves['plain'][-1, 2]:.0%}；训练损失趋于 0，"
            "测试损失却在上升。权值衰减和 Dropout 缩小了两者的差距，但靠的是少记训练图像："
            "测试精度并未提高。使用 Dropout 的网络学得更慢，不妨增加 epochs 再看。",
        },
        found=bool(curves["plain"][-1, 0] > 0.99)
        and bool(curves["plain"][-1, 3] > curves["plain"][:, 3].min())
        and all(gap[way] < 0.75 * gap["plain"] for way in ways if way != "plain")
        and bool(gap["both"] < gap["dropout"]),
        draw=draw,
        size=(11.0, 5.0),
        data={"epochs": seen, **curves},
    )
