"""Gradients on their way back: by sigmoids they vanish, by ReLUs with He's weights they do not."""

from __future__ import annotations

from typing import Any

import numpy as np

import deepfs as dfs
from deepfs import layers as L

from .._experiment import Result, experiment
from ._shared import dense_network, digits

KINDS = {
    "sigmoid, Xavier": (L.Sigmoid, "glorot_normal"),
    "tanh, Xavier": (L.Tanh, "glorot_normal"),
    "ReLU, std 0.01": (L.ReLU, dfs.initializers.Normal(0.01)),
    "ReLU, He": (L.ReLU, "he_normal"),
}


def gradients_of_layers(net: L.Sequential, x: Any, y: Any) -> list[float]:
    """Return the root of the mean square of the gradient of the loss at each hidden layer."""
    caches = []
    for layer in net:
        x, cache = layer.forward(x, training=True)
        caches.append(cache)
    loss = dfs.losses.CrossEntropy(reduction="sum")  # so that it is the gradient of each sample
    _, cache = loss.forward(x, y)
    gradient: Any = loss.backward(cache)
    found = []
    for layer, cache in zip(reversed(list(net)), reversed(caches), strict=True):
        if isinstance(layer, L.Dense):
            found.append(float(np.sqrt(np.mean(gradient**2))))
        gradient = layer.backward(gradient, cache)
    return found[:0:-1]  # from the input on, without the last layer


@experiment(
    en="Vanishing gradients: what reaches the first layers, by depth",
    zh="梯度消失：网络越深，传到前几层的梯度越小",
)
def vanishing_gradients(
    depth: int = 10, units: int = 100, *, seed: int = 0, quick: bool = False, full: bool = False
) -> Result:
    """Measure the gradient of each layer of untrained networks, and that of the front by depth.

    On the way back each layer multiplies the gradient by its weights and by the derivative of its
    activation, which is at most 1/4 for a sigmoid, 1 for tanh and ReLU.
    """
    x, y = digits(full)
    samples = 100 if quick else 1000
    x, y = x[:samples].astype(np.float64), y[:samples]  # float32 would end at 1e-38
    depths = sorted({3, depth // 2, depth} if quick else {3, 4, 6, 8, 10, 15, 20, depth})
    front: dict[str, list[float]] = {kind: [] for kind in KINDS}
    by_layer = {}
    for kind, (activation, initializer) in KINDS.items():
        for layers in depths:
            net = dense_network([units] * layers, activation, initializer)
            model = dfs.Model(net, dfs.losses.CrossEntropy(), dfs.optimizers.SGD(), seed=seed)
            model.predict(x[:1])  # builds the network, from the seed of the model
            found = gradients_of_layers(net, x, y)
            front[kind].append(found[0])
            if layers == depth:
                by_layer[kind] = found
    # what one layer leaves of the gradient, on average
    kept = {kind: (g[0] / g[-1]) ** (1 / (len(g) - 1)) for kind, g in by_layer.items()}

    def draw(figure: Any) -> None:
        left, right = figure.subplots(1, 2, sharey=True)
        for kind, found in by_layer.items():
            left.semilogy(range(1, len(found) + 1), found, "o-", ms=4, label=kind)
            right.semilogy(depths, front[kind], "o-", ms=4, label=kind)
        left.set(
            xlabel="layer, counted from the input",
            title=f"{depth} hidden layers",
            ylabel="gradient (root mean square)",
        )
        right.set(
            xlabel="number of hidden layers", title="gradient at layer 1, by depth", xticks=depths
        )
        left.legend()

    return Result(
        numbers={f"factor per layer, {kind}": float(kept[kind]) for kind in KINDS}
        | {
            f"gradient at layer 1 over layer {depth}, {kind}": g[0] / g[-1]
            for kind, g in by_layer.items()
        },
        see={
            "en": "The scale is logarithmic: a straight line that falls to the left is a gradient "
            "that each layer multiplies by the same factor below 1. For sigmoids the factor is "
            f"about {kept['sigmoid, Xavier']:.2f}, for ReLUs with He's weights about 1. So the "
            "front layers of a deep network of sigmoids hardly learn.",
            "zh": "纵轴是对数刻度：向左下降的直线表示每一层都把梯度乘以同一个小于 1 的系数。"
            f"sigmoid 的系数约为 {kept['sigmoid, Xavier']:.2f}，而 ReLU 配合 He 初始值约为 1。"
            "因此用 sigmoid 的深层网络，前面的层几乎学不到东西。",
        },
        found=kept["sigmoid, Xavier"] < 0.4
        and kept["ReLU, std 0.01"] < 0.4
        and min(kept["tanh, Xavier"], kept["ReLU, He"]) > 0.75
        and front["sigmoid, Xavier"][-1] < 0.01 * front["sigmoid, Xavier"][0],
        draw=draw,
        size=(9.0, 4.2),
        data={"by_layer": by_layer, "front": front, "depths": depths},
    )
