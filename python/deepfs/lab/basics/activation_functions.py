"""The activation functions and their derivatives."""

from __future__ import annotations

from typing import Any

import numpy as np

from deepfs import layers as L

from .._experiment import Result, experiment


def _maxout() -> L.Sequential:
    """Return maxout of the lines -x - 1, x / 2 and 2 x - 2."""
    net = L.Sequential([L.Dense(3), L.Maxout(3)])
    net.build((1,), np.float64)
    lines = {"weight": np.array([[-1.0, 0.5, 2.0]]), "bias": np.array([-1.0, 0.0, -2.0])}
    net.set_weights({f"dense_1.{name}": value for name, value in lines.items()})
    return net


@experiment(
    en="Activation functions and their derivatives: step, sigmoid, tanh, ReLU and its relatives",
    zh="激活函数及其导数：阶跃函数、sigmoid、tanh、ReLU 及其变体",
)
def activation_functions(
    slope: float = 0.1, alpha: float = 1.0, *, seed: int = 0, quick: bool = False
) -> Result:
    """Run each activation layer forward and backward from -6 to 6, with a gradient of 1.

    ``slope`` is that of leaky ReLU, ``alpha`` that of ELU. PReLU learns its slope from 0.25.
    """
    layers: dict[str, L.Layer] = {
        "step": L.Step(),
        "sigmoid": L.Sigmoid(),
        "tanh": L.Tanh(),
        "ReLU": L.ReLU(),
        "leaky ReLU": L.LeakyReLU(slope),
        "PReLU": L.PReLU(),
        "ELU": L.ELU(alpha),
        "maxout": _maxout(),
    }
    x = np.linspace(-6, 6, 400 if quick else 2000)[:, None]  # an even number: not at 0, a kink
    h = 1e-5
    values, slopes, errors = {}, {}, {}
    for name, layer in layers.items():
        y, cache = layer.forward(x, training=True)
        dx: Any = layer.backward(np.ones_like(y), cache)
        differences = (layer(x + h) - layer(x - h)) / (2 * h)
        values[name], slopes[name] = y[:, 0], dx[:, 0]
        errors[name] = float(np.abs(differences - dx).max())
    flat = {name: float((np.abs(dy) < 0.01).mean()) for name, dy in slopes.items()}

    def draw(figure: Any) -> None:
        panels = figure.subplots(2, 4, sharex=True, sharey=True)
        for ax, name in zip(panels.flat, layers, strict=True):
            ax.plot(x, values[name], label="y")
            ax.plot(x, slopes[name], "--", label="dy/dx")
            ax.axhline(0, color="gray", lw=0.5)
            ax.set(title=name, ylim=(-2, 4))
        panels[0, 0].legend(loc="upper left")
        for ax in panels[1]:
            ax.set_xlabel("x")

    return Result(
        numbers={
            "largest derivative, sigmoid": float(slopes["sigmoid"].max()),
            "largest derivative, tanh": float(slopes["tanh"].max()),
            "largest gradient through 10 sigmoids": float(slopes["sigmoid"].max() ** 10),
            **{f"x with |dy/dx| < 0.01, {name}": f"{share:.0%}" for name, share in flat.items()},
            "largest error against differences": max(errors.values()),
        },
        see={
            "en": "The dashed derivative is what a layer multiplies the gradient by. That of "
            "sigmoid is at most 1/4 and almost 0 beyond 5, the step has none, and ReLU's is 1 or "
            "0. Leaky ReLU, PReLU and maxout of such lines have a slope everywhere, and ELU goes "
            "flat only slowly.",
            "zh": "虚线是导数，反向传播时梯度要乘以它。"
            "sigmoid 的导数至多为 1/4，|x| 大于 5 时几乎为 0；"
            "阶跃函数的导数处处为 0；ReLU 的导数不是 1 就是 0。"
            "Leaky ReLU、PReLU 和这里的 maxout 处处有斜率，ELU 只是缓慢变平。",
        },
        found=bool(
            max(errors.values()) < 1e-6
            and 0.249 < slopes["sigmoid"].max() <= 0.25
            and 0.99 < slopes["tanh"].max() <= 1
            and not slopes["step"].any()
            and np.array_equal(slopes["ReLU"], x[:, 0] > 0)
            and flat["tanh"] > flat["sigmoid"] > 0.2
            and all(slopes[name].all() for name in ("leaky ReLU", "PReLU", "ELU", "maxout"))
        ),
        draw=draw,
        size=(11.0, 5.5),
        data={"x": x[:, 0], "values": values, "derivatives": slopes, "errors": errors},
    )
