"""Linear layers do not stack: without activations between them they are one layer."""

from __future__ import annotations

from typing import Any

import numpy as np

import deepfs as dfs
from deepfs import layers as L

from .._experiment import Result, experiment


def _network(hidden: int, units: int, activation: type[L.Layer]) -> L.Sequential:
    """Return dense layers with an activation behind each hidden one."""
    parts: list[L.Layer] = []
    for _ in range(hidden):
        parts += [L.Dense(units), activation()]
    return L.Sequential([*parts, L.Dense(1)], dtype="float64")


@experiment(
    en="Linear layers do not stack: three of them are still a straight line",
    zh="线性层的叠加没有意义：三层合起来仍是一条直线",
)
def linear_layers(
    hidden: int = 2, units: int = 16, steps: int = 1000, *, seed: int = 0, quick: bool = False
) -> Result:
    """Fit y = x^2 by dense layers without activations, and with ReLU between them.

    ``hidden`` layers of ``units`` each, then one with one output. The layers without activations
    are then multiplied out: x W1 W2 W3 + b is one dense layer.
    """
    steps = min(steps, 200) if quick else steps
    x = np.linspace(-1, 1, 41)[:, None]
    target = x**2
    fits, losses = {}, {}
    for name, activation in (("linear", L.Identity), ("ReLU", L.ReLU)):
        net = _network(hidden, units, activation)
        model = dfs.Model(net, "mse", dfs.optimizers.Adam(0.01), seed=seed)
        losses[name] = [model.train_on_batch(x, target)["loss"] for _ in range(steps)]
        fits[name] = model.predict(x)
        if name == "linear":
            weights = list(model.get_weights().values())  # weight, bias, weight, bias ...
    product, shift = np.eye(1), np.zeros(1)
    for weight, bias in zip(weights[::2], weights[1::2], strict=True):
        product, shift = product @ weight, shift @ weight + bias
    difference = float(np.abs(x @ product + shift - fits["linear"]).max())
    best_line = float(target.var())  # x and x^2 are uncorrelated here: the best line is the mean
    reached = {name: float(np.mean((fit - target) ** 2)) for name, fit in fits.items()}

    def draw(figure: Any) -> None:
        left, right = figure.subplots(1, 2)
        left.plot(x, target, "k.", label="data: x²")
        for name, fit in fits.items():
            label = "without activations" if name == "linear" else "ReLU between them"
            left.plot(x, fit, label=label)
            right.semilogy(losses[name], label=label)
        left.set(xlabel="x", ylabel="y", title=f"{hidden + 1} dense layers after {steps} steps")
        right.axhline(best_line, color="gray", ls=":", label="best straight line")
        right.set(xlabel="step", ylabel="mean squared error", title="Loss in training")
        left.legend(loc="upper center")
        right.legend()

    return Result(
        numbers={
            "loss of the best straight line": best_line,
            "loss, dense layers without activations": reached["linear"],
            "loss, ReLU between them": reached["ReLU"],
            "slope of the product of the weights": float(product[0, 0]),
            "largest difference from one layer": difference,
        },
        see={
            "en": "Without activations the layers multiply out to one, x W1 W2 W3 + b: their "
            "output is a straight line, and no training gets below the loss of the best one. With "
            "ReLU between them the same layers bend the line into a parabola.",
            "zh": "没有激活函数时，各层相乘等于一层 x W1 W2 W3 + b：输出是一条直线，"
            "怎么训练损失也不会低于最佳直线。层间加上 ReLU，同样的层就能把直线折成抛物线。",
        },
        found=difference < 1e-10
        and reached["linear"] > 0.999 * best_line
        and reached["ReLU"] < 0.1 * best_line,
        draw=draw,
        size=(10.0, 4.2),
        data={"x": x, "fits": fits, "losses": losses, "product": product, "shift": shift},
    )
