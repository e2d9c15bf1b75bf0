"""A hundred units of which a fifth is dropped, against eighty that are always there."""

from __future__ import annotations

from typing import Any

import numpy as np

import deepfs as dfs
from deepfs import layers as L

from .._experiment import Result, experiment
from ._shared import dense_network, digits, scores


@experiment(
    en="100 units with dropout of 0.2 against 80 units without",
    zh="100 个神经元加比率 0.2 的 Dropout，与 80 个神经元不加 Dropout 的比较",
)
def dropout_width(
    units: int = 100,
    p: float = 0.2,
    runs: int = 4,
    images: int = 5000,
    *,
    seed: int = 0,
    quick: bool = False,
    full: bool = False,
) -> Result:
    """Train one hidden layer: with dropout, with as many units as dropout leaves, and with all.

    Numbers are means of ``runs`` trainings, which differ in initial weights and masks. Dropout pays
    where a network overfits: with ``images=60_000, full=True`` the 100 units without it are best.
    """
    images, epochs = (min(images, 1000), 16) if quick else (images, 20)
    runs = min(runs, 2) if quick else runs
    train, test = digits(images, full)
    fewer = round(units * (1 - p))
    kinds = {
        f"{units} units, p = {p:g}": (units, p),
        f"{fewer} units": (fewer, 0.0),
        f"{units} units": (units, 0.0),
    }
    rows, alive = {}, float(units)
    for kind, (width, rate) in kinds.items():
        each = []
        for run in range(runs):
            rule = dfs.optimizers.Momentum(0.05)
            net = dense_network([rate], width)
            model = dfs.Model(net, "cross_entropy", rule, seed=seed * runs + run)
            model.fit(*train, batch_size=50, epochs=epochs, verbose=0)
            each.append(scores(model, train, test))
        rows[kind] = np.mean(each, axis=0)  # accuracy and loss; the same of the test images
        if rate:  # how many units a mask leaves
            masks, _ = next(each for each in net if isinstance(each, L.Dropout)).forward(
                np.ones((1000, width)), training=True
            )
            alive = float((masks > 0).sum(axis=1).mean())
    dropped, small, whole = rows.values()

    def draw(figure: Any) -> None:
        left, right = figure.subplots(1, 2)
        at = np.arange(len(kinds))
        for ax, k, label in ((left, 1, "loss"), (right, 0, "errors, %")):
            for shift, column, name in ((-0.2, k, "training images"), (0.2, k + 2, "test images")):
                values = np.array([row[column] for row in rows.values()])
                ax.bar(at + shift, values if k else 100 * (1 - values), 0.4, label=name)
            ax.set_xticks(at, list(kinds))
            ax.set(ylabel=label, title=f"{label}, mean of {runs} trainings")
        left.legend(loc="upper left")
        left.set_ylim(0, 1.3 * small[3])

    numbers = {f"units left by a mask, of {units}, on average": alive}
    for kind, row in rows.items():
        numbers |= {f"{kind}: training loss": float(row[1]), f"{kind}: test loss": float(row[3])}
        numbers |= {f"{kind}: test accuracy": float(row[2])}
    return Result(
        numbers=numbers,
        see={
            "en": f"A mask leaves {alive:.1f} of {units} units on average, so each step trains "
            f"about as many as the network of {fewer} has. Yet the test loss is lower, "
            f"{dropped[3]:.3f} against {small[3]:.3f}: no unit may rely on one other, and "
            "inference "
            f"uses all {units}. {units} units without dropout are little better than {fewer}, so "
            "it is not their number.",
            "zh": f"掩码平均留下 {units} 个神经元中的 {alive:.1f} 个，所以每一步训练的神经元与 "
            f"{fewer} 个神经元的网络差不多。但测试损失更低：{dropped[3]:.3f} 对 {small[3]:.3f}。"
            f"因为神经元不能只依赖某一个别的神经元，而推理时 {units} 个全部参与。不加 Dropout 的 "
            f"{units} 个神经元只比 {fewer} 个略好，可见起作用的不是个数。",
        },
        found=bool(dropped[3] < 0.95 * small[3] and dropped[3] < 0.98 * whole[3])
        and abs(alive - units * (1 - p)) < 1,
        draw=draw,
        size=(11.0, 4.5),
        data={"rows": rows},
    )
