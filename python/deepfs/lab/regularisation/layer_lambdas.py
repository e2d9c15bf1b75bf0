"""A lambda for each layer: how the norms of the layers follow."""

from __future__ import annotations

from typing import Any

import numpy as np

import deepfs as dfs

from .._experiment import Result, experiment
from ._shared import dense_network, digits, scores


@experiment(
    en="A lambda for each layer: what it does to the norms, and to the loss",
    zh="每一层各用一个 λ：范数与损失怎样变化",
)
def layer_lambdas(
    decay: float = 0.02, *, seed: int = 0, quick: bool = False, full: bool = False
) -> Result:
    """Train three layers with L2 of rate ``decay``, distributed over the layers in several ways.

    Scaling a layer before a ReLU by a, and the next one by 1 / a, changes no output. So a minimum
    of loss + sum of lambda_k |W_k|^2 / 2 has the same lambda_k |W_k|^2 in all layers, and only the
    product of the lambdas counts: the first three ways below are the same network.
    """
    images, units, epochs, step = (1000, 50, 30, 0.08) if quick else (5000, 100, 40, 0.05)
    train, test = digits(60_000 if full else images, full)
    four = 4 ** (1 / 3)
    ways = {
        "the same": (decay, decay, decay),
        "first x 4": (4 * decay / four, decay / four, decay / four),
        "last x 4": (decay / four, decay / four, 4 * decay / four),
        "first only": (decay, 0.0, 0.0),
        "last only": (0.0, 0.0, decay),
        "none": (0.0, 0.0, 0.0),
    }
    norms, rows = {}, {}
    for way, lambdas in ways.items():
        groups = [
            dfs.optimizers.Group(f"dense_{k}.weight", regularizer=dfs.regularizers.L2(rate))
            for k, rate in enumerate(lambdas, 1)
        ]
        rule = dfs.optimizers.Momentum(dfs.schedules.Cosine(step), groups=groups)
        model = dfs.Model(dense_network([0, 0], units), "cross_entropy", rule, seed=seed)
        model.fit(*train, batch_size=100, epochs=epochs, verbose=0)
        weights = model.get_weights()
        norms[way] = [float(np.linalg.norm(weights[f"dense_{k}.weight"])) for k in (1, 2, 3)]
        rows[way] = scores(model, train, test)
    loss = {way: (row[1], row[3]) for way, row in rows.items()}
    equal = list(ways)[:3]
    products = {way: np.multiply(ways[way], np.square(norms[way])) for way in equal}

    def draw(figure: Any) -> None:
        left, right = figure.subplots(1, 2)
        at = np.arange(len(ways))
        for k in range(3):
            bars = left.bar(at + 0.27 * (k - 1), [each[k] for each in norms.values()], 0.27)
            bars.set_label(f"layer {k + 1}")
        left.set(ylabel="norm of the weights", title="Norms of the three layers")
        for k, name in enumerate(("training images", "test images")):
            right.bar(at + 0.4 * (k - 0.5), [each[k] for each in loss.values()], 0.4, label=name)
        highest = 1.25 * max(each[1] for each in loss.values())
        right.set(ylabel="loss", title="Loss", ylim=(0, highest))
        for ax in (left, right):
            ax.set_xticks(at, [way.replace(" ", "\n", 1) for way in ways])
            ax.set_xlabel("which layers have a lambda")
            ax.legend(loc="upper left")

    numbers: dict[str, Any] = {
        f"{way}: norms of layers 1, 2, 3": ", ".join(f"{norm:.2f}" for norm in each)
        for way, each in norms.items()
    }
    for way in ways:
        numbers |= {f"{way}: training loss": loss[way][0], f"{way}: test loss": loss[way][1]}
    mean = np.mean([loss[way] for way in equal], axis=0)
    off = max(float(np.abs(np.divide(loss[way], mean) - 1).max()) for way in equal)
    spread = max(float(each.max() / each.min()) for each in products.values())
    numbers["lambda |W|^2: largest over smallest of the layers"] = spread
    first = norms["first x 4"]
    return Result(
        numbers=numbers,
        see={
            "en": "With four times the lambda the first layer has about half the norm of the "
            "others, "
            f"{first[0]:.1f} against {first[1]:.1f} and {first[2]:.1f}; yet the loss is that of "
            "equal "
            f"lambdas within {off:.1%}: with a ReLU between, what one layer loses others make "
            "up for. A layer without lambda is another thing: it grows, and takes over the scale, "
            f"so the training loss is {loss['first only'][0]:.2f} in place of {mean[0]:.2f}.",
            "zh": f"第一层的 λ 变为 4 倍时，它的范数约为其他层的一半：{first[0]:.1f} 对 "
            f"{first[1]:.1f} 和 "
            f"{first[2]:.1f}；但损失与各层 λ 相同时一样，相差不超过 {off:.1%}：有 ReLU "
            "相连，一层缩小的比例由别的层补上。没有 λ 的层则不同：它会变大，接管整体的比例，"
            f"于是训练损失是 {loss['first only'][0]:.2f}，而不是 {mean[0]:.2f}。",
        },
        found=spread < 1.6
        and off < 0.1
        and bool(1.6 < first[1] / first[0] < 2.6)
        and norms["first only"][0] < 0.5 * norms["none"][0]
        and norms["first only"][1] > norms["none"][1]
        and loss["first only"][0] < 0.6 * mean[0],
        draw=draw,
        size=(11.0, 4.5),
        data={"lambdas": ways, "norms": norms, "loss": loss},
    )
