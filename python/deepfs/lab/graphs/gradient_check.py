"""A gradient check finds the layer whose backward pass is wrong."""

from __future__ import annotations

from typing import Any

import numpy as np

import deepfs as dfs
from deepfs import layers as L

from .._experiment import Result, experiment


class CarelessReLU(L.Layer):
    """A ReLU whose backward pass forgets that the gradient is 0 where the input was negative."""

    def _out_shape(self, in_shape: L.Shape) -> L.Shape:
        return in_shape

    def _forward(self, x: Any, training: bool) -> tuple[Any, Any]:
        return np.maximum(x, 0), None

    def _backward(self, dy: Any, cache: Any, need_dx: bool) -> Any:
        return dy


def _gradients(net: L.Layer, x: Any, y: Any, rng: Any, entries: int) -> dict[str, Any]:
    """Return the gradients of some entries of each parameter, (2, entries): backward, numerical."""
    loss, h = dfs.losses.CrossEntropy(), 1e-5
    outputs, cache = net.forward(x, training=True)
    _, of_loss = loss.forward(outputs, y)
    net.zero_grad()
    net.backward(loss.backward(of_loss), cache)
    gradients = {}
    for name, parameter in net.parameters().items():
        value, grad = parameter.value, parameter.grad
        rows = []
        for i in rng.permutation(parameter.size)[:entries]:
            kept, sides = value.flat[i], []
            for step in (h, -h):
                value.flat[i] = kept + step
                sides.append(loss(net(x), y))
            value.flat[i] = kept
            rows.append((grad.flat[i], (sides[0] - sides[1]) / (2 * h)))
        gradients[name] = np.array(rows).T
    return gradients


@experiment(
    en="Gradient check of a network; a wrong backward pass and where it lies",
    zh="网络的梯度确认（梯度检查）；找出反向传播出错的层",
)
def gradient_check(
    entries: int = 1000, samples: int = 3, *, seed: int = 0, quick: bool = False
) -> Result:
    """Compare gradients of backpropagation and of central differences, for two networks.

    Both are 784-50-50-10 on ``samples`` digits, in float64; ``entries`` of each parameter are
    compared. In one the second ReLU has a wrong backward pass. `deepfs.testing.check_gradient`
    and `deepfs.testing.check_layer` are such checks, with tolerances.
    """
    entries = min(entries, 40) if quick else entries
    (x, y), _ = dfs.datasets.mnist_mini()
    x, y = x[:samples].astype(np.float64), y[:samples]
    compared, errors = {}, {}
    for name, activation in (("right", L.ReLU()), ("wrong", CarelessReLU())):
        parts = [L.Flatten(), L.Dense(50), L.ReLU(), L.Dense(50), activation, L.Dense(10)]
        net = L.Sequential(parts, dtype="float64")
        model = dfs.Model(net, "cross_entropy", dfs.optimizers.SGD(), seed=seed)
        model.predict(x)  # the first call draws the weights, by the seed of the model
        compared[name] = _gradients(net, x, y, np.random.default_rng(seed), entries)
        errors[name] = {
            parameter: float(np.linalg.norm(a - b) / (np.linalg.norm(a) + np.linalg.norm(b)))
            for parameter, (a, b) in compared[name].items()
        }
    behind = [parameter for parameter in errors["wrong"] if parameter.startswith("dense_3")]
    before = [parameter for parameter in errors["wrong"] if parameter not in behind]

    def draw(figure: Any) -> None:
        left, right = figure.subplots(1, 2, width_ratios=[1, 1.3])
        for name, pairs in compared.items():
            a, b = np.concatenate(list(pairs.values()), axis=1)
            left.plot(b, a, "." if name == "right" else "x", ms=4, label=f"{name} network")
        left.axline((0, 0), slope=1, color="gray", lw=0.5)
        left.set(xlabel="numerical gradient", ylabel="gradient of backpropagation")
        left.set_title("Entries of all parameters")
        left.legend()
        at = np.arange(len(errors["right"]))
        for shift, (name, error) in zip((-0.2, 0.2), errors.items(), strict=True):
            right.bar(at + shift, list(error.values()), 0.4, log=True, label=f"{name} network")
        right.set_xticks(at, [name.replace(".", "\n") for name in errors["right"]], fontsize=8)
        right.set(ylabel="relative error", ylim=(1e-12, 10), title="The fault lies behind dense_2")
        right.legend(loc="upper right")

    return Result(
        numbers={
            f"relative error, {name} network, {parameter}": value
            for name, error in errors.items()
            for parameter, value in error.items()
        },
        see={
            "en": "Where backpropagation is right, both gradients agree to 7 digits or more. The "
            "second ReLU of the wrong network does not set gradients to 0: all parameters before "
            "it get wrong gradients, those of the last layer, behind it, are right. So the check "
            "tells where to look. It is slow (two forward passes per entry), so it is a test only.",
            "zh": "反向传播正确时，两种梯度有 7 位以上的数字一致。"
            "出错的网络中，第二个 ReLU 没有把梯度置 0：它前面各层的梯度都错，"
            "后面最后一层的梯度却正确，由此可知错在哪里。数值微分很慢，每个元素要做两次正向传播，只用来检查。",
        },
        found=bool(
            max(errors["right"].values()) < 1e-6
            and max(errors["wrong"][parameter] for parameter in behind) < 1e-6
            and min(errors["wrong"][parameter] for parameter in before) > 0.01
        ),
        draw=draw,
        size=(11.0, 4.4),
        data={"compared": compared, "errors": errors},
    )
