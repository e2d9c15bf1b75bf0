"""Test data take the transform of the training data, not one of their own."""

from __future__ import annotations

from typing import Any

import numpy as np

import deepfs as dfs
from deepfs import layers as L
from deepfs.preprocessing import Standardize

from .._experiment import Result, experiment

BATCHES = (1, 2, 5, 10, 50, 200, 1000)


@experiment(
    en="The same transform for test data, fitted on training data only",
    zh="测试数据用同一个变换，只在训练数据上拟合",
)
def train_only_statistics(*, seed: int = 0, quick: bool = False, full: bool = False) -> Result:
    """Train on standardised digits; then standardise the test digits in several ways.

    In practice ``Model(..., preprocess=Standardize())`` does the right one by itself. Here it is
    done by hand, so that it can be done wrong.
    """
    (x, y), (xt, yt) = dfs.datasets.mnist() if full else dfs.datasets.mnist_mini()
    if quick:
        x, y = x[:1000], y[:1000]
    x, xt, yt = x.reshape(len(x), -1), xt[:1000].reshape(-1, 784), yt[:1000]
    scaler = Standardize().fit(x)
    net = L.Sequential([L.Dense(50), L.ReLU(), L.Dense(10)])
    model = dfs.Model(net, "cross_entropy", dfs.optimizers.Momentum(0.02), seed=seed)
    model.fit(scaler(x), y, batch_size=50, epochs=5 if quick else 20, verbose=0)

    def accuracy(inputs: Any, targets: Any = yt) -> float:
        # the network itself: predict would warn that inputs are not scaled as in the training
        return float((net(inputs).argmax(axis=1) == targets).mean())

    def by_themselves(parts: list[Any]) -> Any:
        return np.concatenate([Standardize().fit(part)(part) for part in parts])

    right = accuracy(scaler(xt))
    wrong = [accuracy(by_themselves([xt[k : k + n] for k in range(0, 1000, n)])) for n in BATCHES]
    sorted_by_class = [xt[yt == digit] for digit in range(10)]
    classes = accuracy(by_themselves(sorted_by_class), np.sort(yt))
    raw = accuracy(xt)
    both = Standardize().fit(np.concatenate([x, xt]))

    def draw(figure: Any) -> None:
        left, ax = figure.subplots(1, 2)
        ways = {
            "of the\ntraining images": right,
            "none:\nraw pixels": raw,
            "of each class\nof test images": classes,
            "of each\ntest image": wrong[0],
        }
        bars = left.bar(list(ways), [100 * value for value in ways.values()], color="C0")
        left.bar_label(bars, fmt="%.0f %%")
        left.set(ylabel="accuracy on test images, %", ylim=(0, 105), title="Statistics")
        left.tick_params(axis="x", labelsize=8)
        ax.semilogx(BATCHES, np.multiply(100, wrong), "o-", color="C1", label="of the batch itself")
        ax.axhline(100 * right, ls="--", label="of the training images")
        ax.set(xlabel="test images in a batch", ylim=(0, 105), title="Statistics of a batch")
        ax.legend(loc="lower right")

    numbers = {"accuracy, statistics of the training images": right}
    for n, value in zip(BATCHES, wrong, strict=True):
        numbers[f"accuracy, statistics of each {n} test images"] = value
    numbers["accuracy, statistics of each class of test images"] = classes
    numbers["accuracy, raw pixels"] = raw
    numbers["accuracy, statistics of training and test images"] = accuracy(both(xt))
    return Result(
        numbers=numbers,
        see={
            "en": f"With the statistics of the training images {right:.1%} of the test images are "
            f"right. Standardised by itself, an image becomes all 0: {wrong[0]:.0%}, as by chance. "
            f"Images of one class lose what makes them that class: {classes:.0%}. Large, mixed "
            "batches have nearly the right statistics, so that the mistake stays hidden until an "
            "image comes alone. Statistics of training and test images together change little "
            "here, but then the test is no longer one on data that were never seen.",
            "zh": f"用训练图像的统计量，测试图像有 {right:.1%} 分类正确。"
            "单张图像用自己的统计量标准化后全为 0："
            f"{wrong[0]:.0%}，等于随机猜测。同一类的图像会失去该类的特征：{classes:.0%}。"
            "又大又混合的批次的统计量几乎正确，所以这个错误不易察觉，直到图像单独到来。"
            "用训练加测试图像一起求统计量，这里差别很小，但这样测试用的就不再是从未见过的数据。",
        },
        found=right > 0.75
        and wrong[0] < 0.2
        and classes < right - 0.3
        and bool(wrong[0] < wrong[1] < wrong[2] < right - 0.02)
        and abs(wrong[-1] - right) < 0.05,
        draw=draw,
        size=(11.0, 4.5),
        data={"batches": BATCHES, "accuracy": wrong},
    )
