"""Squared error and cross-entropy, and why accuracy cannot take their place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import deepfs as dfs

from .._experiment import Result, experiment


@experiment(
    en="Squared error and cross-entropy; why accuracy is no loss: its derivative is 0",
    zh="均方误差与交叉熵误差；为何不能用识别精度作损失：它的导数几乎处处为 0",
)
def loss_functions(
    samples: int = 50, positions: int = 1001, *, seed: int = 0, quick: bool = False
) -> Result:
    """Draw both losses over the probability of the right class, then loss and accuracy over a bias.

    The classifier on the right is one neuron, w x + b with w = 2, on ``samples`` numbers of each of
    two classes. Its bias goes through ``positions`` values; derivatives are central differences.
    """
    squared, entropy = dfs.losses.MeanSquaredError(textbook=True), dfs.losses.CrossEntropy()
    book = np.array([[0.1, 0.05, 0.6, 0.0, 0.05, 0.1, 0.0, 0.1, 0.0, 0.0]])  # section 4.2
    logits = np.log(book + 1e-7)  # their softmax gives the probabilities back
    one_hot = np.eye(10)
    numbers: dict[str, Any] = {}
    for digit, words in ((2, "0.6 for the right digit"), (7, "0.1 for the right digit")):
        numbers[f"squared error, {words}"] = squared(book, one_hot[[digit]])
        numbers[f"cross-entropy, {words}"] = entropy(logits, np.array([digit]))

    p = np.linspace(0.001, 0.999, 200)
    two = np.stack([p, 1 - p], axis=1)  # probabilities of two classes, the first is right
    right = np.zeros(len(p), int)
    each_squared = dfs.losses.MeanSquaredError(textbook=True, reduction="none")
    each_entropy = dfs.losses.CrossEntropy(reduction="none")
    of_p = {
        "squared error": each_squared(two, np.eye(2)[right]),
        "cross-entropy": each_entropy(np.log(two), right),
    }

    rng = np.random.default_rng(seed)
    x = np.concatenate([rng.normal(-1, 1, samples), rng.normal(1, 1, samples)])
    labels = np.repeat([0.0, 1.0], samples)
    of_outputs: dict[str, Callable[[Any, Any], float]] = {
        "loss": dfs.losses.BinaryCrossEntropy(),
        "accuracy": lambda outputs, t: float(((outputs > 0) == t).mean()),
    }
    b = np.linspace(-4, 4, 201 if quick else positions)
    h = 1e-4
    curves = {name: np.array([f(2 * x + at, labels) for at in b]) for name, f in of_outputs.items()}
    slopes = {
        name: np.array(
            [(f(2 * x + at + h, labels) - f(2 * x + at - h, labels)) / (2 * h) for at in b]
        )
        for name, f in of_outputs.items()
    }
    zero = {name: float((slope == 0).mean()) for name, slope in slopes.items()}
    numbers["biases with derivative 0, accuracy"] = f"{zero['accuracy']:.1%}"
    numbers["biases with derivative 0, loss"] = f"{zero['loss']:.1%}"
    numbers["values of the accuracy"] = len(np.unique(curves["accuracy"]))

    def draw(figure: Any) -> None:
        left, middle = figure.subplots(1, 2)
        for name, values in of_p.items():
            left.plot(p, values, label=name)
        left.set(xlabel="probability of the right class", ylabel="loss of a sample")
        left.set(title="Loss of a sample, two classes")
        left.legend()
        middle.plot(b, curves["loss"], label="loss (cross-entropy)")
        middle.step(b, curves["accuracy"], where="mid", label="accuracy")
        middle.set(
            xlabel="bias of the neuron", title=f"{2 * samples} samples: smooth, and in steps"
        )
        middle.legend()

    return Result(
        numbers=numbers,
        see={
            "en": "Cross-entropy grows without bound as the probability of the right class goes to "
            "0; squared error stays below 1. A small change of the bias changes the loss, so its "
            "derivative says which way to go. The accuracy stays where it is and then jumps: its "
            "derivative is 0 almost everywhere, and gradient descent would stand still.",
            "zh": "正确类的概率趋于 0 时，交叉熵误差无限增大，均方误差不超过 1。"
            "偏置稍有变化，损失就随之变化，其导数指明更新方向；"
            "识别精度则先保持不变再突然跳变，导数几乎处处为 0，梯度下降会停滞不前。",
        },
        found=bool(
            zero["accuracy"] > 0.9
            and zero["loss"] == 0
            and of_p["cross-entropy"][0] > 5 > 1 > of_p["squared error"][0]
        ),
        draw=draw,
        size=(10.0, 4.2),
        data={"p": p, "of_p": of_p, "b": b, "curves": curves, "slopes": slopes},
    )
