"""The digits that a trained network takes for others, and how sure it is of them."""

from __future__ import annotations

from typing import Any

import numpy as np

import deepfs as dfs

from .._experiment import Result, experiment


@experiment(
    en="Misclassified digits: many are hard for people, and the network is less sure of them",
    zh="识别错误的数字：许多连人也难以辨认，网络对它们也不太有把握",
)
def misclassified_digits(
    epochs: int = 6, *, seed: int = 0, quick: bool = False, full: bool = False
) -> Result:
    """Train a network with batch norm, and look at the test digits that it gets wrong."""
    (x, y), (xt, yt) = dfs.datasets.mnist() if full else dfs.datasets.mnist_mini()
    if quick:
        x, y, epochs = x[:1500], y[:1500], 2
    model = dfs.Model(
        dfs.networks.mini_convnet(), dfs.losses.CrossEntropy(), dfs.optimizers.Adam(), seed=seed
    )
    model.fit(x, y, batch_size=50, epochs=epochs, verbose=0)

    p = model.predict_proba(xt)
    sure, wrong = p.max(axis=1), p.argmax(axis=1) != yt
    tenth = np.argsort(sure)[: len(sure) // 10]  # the digits of which it is least sure
    confused = dfs.plots.most_confused(model, xt, yt)[0]

    def draw(figure: Any) -> None:
        left, right = figure.subplots(1, 2, width_ratios=[1.5, 1])
        dfs.plots.misclassified(model, xt, yt, count=20, columns=5, ax=left)
        bins = np.linspace(0, 1, 21)
        for group, label in ((~wrong, "right"), (wrong, "wrong")):
            right.hist(sure[group], bins, weights=np.full(group.sum(), 1 / group.sum()), alpha=0.6,
                       label=f"{label}: {group.sum():,} digits")  # fmt: skip
        right.set(xlabel="probability of the answer", ylabel="share of the digits")
        right.set_title("how sure the network is")
        right.legend()

    return Result(
        numbers={
            "test images": len(yt),
            "misclassified": int(wrong.sum()),
            "error rate": float(wrong.mean()),
            "most often confused": f"{confused[0]} taken for {confused[1]}, {confused[2]} times",
            "mean probability of right answers": float(sure[~wrong].mean()),
            "mean probability of wrong answers": float(sure[wrong].mean()),
            "mistakes among the least sure 10 %": float(wrong[tenth].sum() / wrong.sum()),
        },
        see={
            "en": "Many of these digits are badly written, and a person would hesitate as well. So "
            "does the network: wrong answers have lower probabilities than right ones, and most "
            "mistakes are among the tenth of the digits of which it is least sure. To pass these "
            "on to a person removes most errors.",
            "zh": "这些数字中有许多写得很潦草，人看了也会犹豫。网络也一样："
            "错误答案的概率低于正确答案，而且大部分错误集中在它最没有把握的十分之一数字中。"
            "把这一部分交给人来判断，就能消除大部分错误。",
        },
        found=bool(
            0 < wrong.mean() < 0.2
            and sure[wrong].mean() < sure[~wrong].mean() - 0.1
            and wrong[tenth].sum() > 3 * 0.1 * wrong.sum()
        ),
        draw=draw,
        size=(11.0, 5.2),
        data={"sure": sure, "wrong": wrong},
    )
