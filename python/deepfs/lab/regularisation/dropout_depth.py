"""Dropout in front layers and in back layers of one network."""

from __future__ import annotations

from typing import Any

import numpy as np

import deepfs as dfs

from .._experiment import Result, experiment
from ._shared import dense_network, digits, scores


@experiment(
    en="Dropout in front layers lowers the test loss more than in back layers",
    zh="Dropout 用在靠前的层比用在靠后的层更能降低测试损失",
)
def dropout_depth(
    p: float = 0.5,
    runs: int = 3,
    *,
    seed: int = 0,
    quick: bool = False,
    full: bool = False,
) -> Result:
    """Train networks of four hidden layers with the same dropout in different places.

    One layer has dropout of rate ``p``; or all have, with rates that fall or rise from front to
    back. Losses are means of ``runs`` trainings, which differ in initial weights and masks.
    """
    images, epochs = (500, 18) if quick else (1000, 30)
    runs = min(runs, 2) if quick else runs
    train, test = digits(images, full)
    falling = [p, 0.6 * p, 0.2 * p, 0.0]
    places = {"none": [0.0] * 4}
    places |= {f"layer {k + 1}": [p * (k == at) for at in range(4)] for k in range(4)}
    places |= {"falling": falling, "rising": falling[::-1]}
    if quick:
        del places["layer 2"], places["layer 3"]
    rows, spread = {}, {}
    for place, rates in places.items():
        each = []
        for run in range(runs):
            net = dense_network(rates, 100)
            rule = dfs.optimizers.Momentum(0.05)
            model = dfs.Model(net, "cross_entropy", rule, seed=seed * runs + run)
            model.fit(*train, batch_size=50, epochs=epochs, verbose=0)
            each.append((*scores(model, train, test), model.predict(test[0]).std()))
        rows[place] = np.mean(each, axis=0)  # accuracy, loss; the same of the test; logits
        spread[place] = float(rows[place][4])
    loss = {place: float(row[3]) for place, row in rows.items()}

    def draw(figure: Any) -> None:
        ax = figure.subplots()
        at = np.arange(len(places))
        ax.bar(at - 0.2, [row[1] for row in rows.values()], 0.4, label="training images")
        ax.bar(at + 0.2, list(loss.values()), 0.4, label="test images")
        ax.axhline(loss["none"], color="k", lw=0.8, ls=":")
        labels = [
            f"{place}\n{', '.join(f'{rate:.1g}' for rate in rates)}"
            for place, rates in places.items()
        ]
        ax.set_xticks(at, labels, fontsize=9)
        ax.set(xlabel="where there is dropout, and the rate of each layer", ylabel="loss")
        ax.set_title(f"The same dropout in front and in back, {images:,} digits")
        ax.legend()

    return Result(
        numbers={f"test loss, dropout {place}": value for place, value in loss.items()}
        | {f"standard deviation of logits, {place}": spread[place] for place in places},
        see={
            "en": f"Behind the first layer dropout lowers the test loss from {loss['none']:.2f} to "
            f"{loss['layer 1']:.2f}; behind the last one it is {loss['layer 4']:.2f}, and "
            "rates that fall from front to back do better than rising ones. A mask in front shows "
            "all later layers ever new inputs. A mask in back is answered by larger logits, "
            f"deviation {spread['layer 4']:.1f} against {spread['layer 1']:.1f}, which make wrong "
            "answers more certain.",
            "zh": f"第一层之后的 Dropout 把测试损失从 {loss['none']:.2f} 降到 "
            f"{loss['layer 1']:.2f}，"
            f"最后一层之后的却得到 {loss['layer 4']:.2f}；比率从前到后递减好于递增。"
            "靠前的掩码让后面各层不断看到新的输入；靠后的掩码则引出更大的 logits"
            f"（标准差 {spread['layer 4']:.1f} 对 {spread['layer 1']:.1f}），使错误的回答更加自信。"
            "",
        },
        found=loss["layer 1"] < 0.92 * loss["none"]
        and loss["layer 4"] > 1.1 * loss["layer 1"]
        and loss["falling"] < 0.9 * loss["rising"]
        and spread["layer 1"] < spread["layer 4"],
        draw=draw,
        size=(10.0, 4.5),
        data={"rates": places, "rows": rows},
    )
