"""ReLU, sigmoid, affine and softmax with loss as graphs, node by node, beside deepfs's layers."""

from __future__ import annotations

from typing import Any

import numpy as np

import deepfs as dfs
from deepfs import layers as L

from .._experiment import Result, experiment
from ._shared import AddLayer, Edge, MulLayer, draw_graph, in_a_row

Steps = tuple[str, list[Edge], list[tuple[Any, Any]]]  # title, arrows, what deepfs must give


def _relu(x: Any, dy: Any) -> Steps:
    mask = x > 0
    y, dx = x * mask, dy * mask
    layer = L.ReLU()
    out, cache = layer.forward(x, training=True)
    arrows = [("x", "ReLU", x, dx), ("ReLU", "y", y, dy)]
    return "ReLU: dx = dy where x > 0, else 0", arrows, [(y, out), (dx, layer.backward(dy, cache))]


def _sigmoid(x: Any, dy: Any) -> Steps:
    negate, add = MulLayer(), AddLayer()
    minus = negate.forward(x, -1.0)
    power = np.exp(minus)
    total = add.forward(power, 1.0)
    y = 1 / total
    dtotal = -dy * y**2
    dpower, _ = add.backward(dtotal)
    dminus = dpower * power
    dx, _ = negate.backward(dminus)
    layer = L.Sigmoid()
    out, cache = layer.forward(x, training=True)
    arrows = [("x", "× -1", x, dx), ("× -1", "exp", minus, dminus), ("exp", "+ 1", power, dpower)]
    arrows += [("+ 1", "1 / ·", total, dtotal), ("1 / ·", "y", y, dy)]
    compared = [(y, out), (dx, layer.backward(dy, cache)), (dx, dy * y * (1 - y))]
    return "Sigmoid: dx = dy y (1 - y)", arrows, compared


def _affine(x: Any, w: Any, b: Any, dy: Any) -> Steps:
    product = x @ w
    y = product + b
    dproduct, db = dy, dy.sum(axis=0)
    dx, dw = dproduct @ w.T, x.T @ dproduct
    layer = L.Dense(w.shape[1])
    layer.build(x.shape[1:], np.float64)
    layer.set_weights({"weight": w, "bias": b})
    out, cache = layer.forward(x, training=True)
    back = layer.backward(dy, cache)
    compared = [(y, out), (dx, back), (dw, layer.learned["weight"].grad)]
    compared.append((db, layer.learned["bias"].grad))
    arrows = [("x", "dot", x, dx), ("W", "dot", w, dw), ("dot", "+", product, dproduct)]
    arrows += [("b", "+", b, db), ("+", "y", y, dy)]
    return "Affine: dx = dy Wᵀ, dW = xᵀ dy, db = sum of dy", arrows, compared


def _softmax_with_loss(a: Any, t: Any) -> Steps:
    y = np.exp(a - a.max()) / np.exp(a - a.max()).sum()
    loss = -(t * np.log(y)).sum()
    dy = -t / y
    da = y * (dy - (y * dy).sum())  # which is y - t
    function, entropy = dfs.losses.CrossEntropy(), "cross-\nentropy"
    out, cache = function.forward(a, t)
    compared = [(loss, out), (da, function.backward(cache)), (da, y - t)]
    arrows = [("a", "softmax", a[0], da[0]), ("softmax", entropy, y[0], dy[0])]
    arrows += [(entropy, "loss", loss, 1.0), ("t", entropy, t[0], None)]
    return "Softmax with loss: da = y - t", arrows, compared


@experiment(
    en="ReLU, sigmoid, affine, softmax with loss as graphs, forward and backward: y - t",
    zh="ReLU、sigmoid、Affine、Softmax-with-Loss 的计算图，正向与反向：y - t",
)
def layers_as_graphs(*, seed: int = 0, quick: bool = False) -> Result:
    """Go through four layers node by node; compare outputs and gradients with deepfs's layers."""
    x, dy = np.array([[1.0, -0.5], [-2.0, 3.0]]), np.array([[1.0, 2.0], [3.0, 4.0]])
    y, t = np.array([[0.3, 0.2, 0.5]]), np.array([[0.0, 1.0, 0.0]])  # the textbook's
    graphs = {
        "ReLU": _relu(x, dy),
        "Sigmoid": _sigmoid(np.array([1.0]), np.array([1.0])),
        "Affine": _affine(x, np.array([[1.0, 0.0], [2.0, -1.0]]), np.array([1.0, -1.0]), dy),
        "Softmax with loss": _softmax_with_loss(np.log(y), t),
    }
    errors = {
        name: max(float(np.abs(mine - theirs).max()) for mine, theirs in compared)
        for name, (_, _, compared) in graphs.items()
    }
    da = graphs["Softmax with loss"][1][0][3]

    def draw(figure: Any) -> None:
        panels = figure.subplots(2, 2, height_ratios=[1, 2]).flat
        for ax, (title, arrows, _) in zip(panels, graphs.values(), strict=True):
            draw_graph(ax, in_a_row(arrows), arrows, size=9)
            ax.set_title(title)
        figure.suptitle("Above an arrow: forward; below, red: backward")

    return Result(
        numbers={
            "y of softmax": str(y[0]),
            "t": str(t[0]),
            "gradient of the logits, node by node": str(da.round(10)),
            **{f"largest error against deepfs, {name}": error for name, error in errors.items()},
        },
        see={
            "en": "Backward, the nodes of sigmoid multiply to y (1 - y), so the layer needs its "
            "output only. Softmax and cross-entropy together give y - t, the error of the "
            "probabilities: the division by y cancels, which is why both are one layer. An affine "
            "layer adds up the gradient of its bias over the samples.",
            "zh": "反向传播时，sigmoid 各节点的导数相乘得 y (1 - y)，只需保存输出。"
            "Softmax 与交叉熵误差合在一起得 y - t，即概率的误差：除以 y 的部分恰好抵消，"
            "所以二者合为一层。Affine 层偏置的梯度是各样本梯度之和。",
        },
        found=max(errors.values()) < 1e-12 and np.allclose(da, [0.3, -0.8, 0.5]),
        draw=draw,
        size=(13.0, 5.5),
        data={"errors": errors, "da": da, "graphs": graphs},
    )
