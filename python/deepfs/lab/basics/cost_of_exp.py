"""What the exponentials of sigmoid and tanh cost beside a convolution."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from deepfs import layers as L

from .._experiment import Result, experiment
from ._shared import cpu_seconds


@experiment(
    en="What exp costs: activations beside the convolution before them",
    zh="指数运算的代价：激活函数与其前面的卷积相比",
)
def cost_of_exp(
    channels: int = 64, size: int = 28, *, seed: int = 0, quick: bool = False
) -> Result:
    """Time a 3 x 3 convolution of ``channels`` to as many, and activations of its output.

    The course CS231n counts the cost of exp among the drawbacks of sigmoid.
    """
    samples, rounds = (8, 5) if quick else (32, 30)
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((samples, channels, size, size)).astype(np.float32)
    kinds: dict[str, Callable[[Any], Any]] = {
        "convolution": L.Conv2D(channels, 3, padding=1),
        "1 / (1 + exp(-x)), NumPy": lambda x: 1 / (1 + np.exp(-x)),
        "layer Sigmoid": L.Sigmoid(),
        "layer Tanh": L.Tanh(),
        "layer ELU": L.ELU(),
        "layer ReLU": L.ReLU(),
    }
    nanoseconds = {
        name: 1e9 / x.size * cpu_seconds(functools.partial(f, x), rounds)
        for name, f in kinds.items()
    }
    macs = 9 * channels
    share = nanoseconds["layer Sigmoid"] / nanoseconds["convolution"]

    def draw(figure: Any) -> None:
        ax = figure.subplots()
        bars = ax.barh(list(nanoseconds), list(nanoseconds.values()))
        bars[0].set_color("tab:orange")
        ax.bar_label(bars, fmt=" %.2f", padding=2)
        ax.margins(x=0.1)
        ax.invert_yaxis()
        ax.set(xlabel="CPU time per number of the output, nanoseconds")
        ax.set_title(f"3x3 convolution of {channels} channels, and activations")

    return Result(
        numbers={
            "multiply-adds per number, convolution": macs,
            **{f"CPU time per number, {name}, ns": ns for name, ns in nanoseconds.items()},
            "CPU time, Sigmoid over convolution": share,
        },
        see={
            "en": "An exponential takes about a dozen operations, but the convolution before it "
            f"takes {macs} multiply-adds for the same number. So the choice of an activation "
            "should follow how it trains, not what exp costs; deepfs computes the exponentials "
            "of several numbers at a time, and reading and writing takes much of the time.",
            "zh": "一次指数运算约需十来次基本运算，而其前面的卷积为同一个数要做 "
            f"{macs} 次乘加。所以选择激活函数应看训练效果，而不是 exp 的代价；"
            "deepfs 一次计算多个数的指数，而且读写内存就占了不少时间。",
        },
        found=share < 0.5,
        draw=draw,
        size=(8.0, 3.8),
        data={"nanoseconds": nanoseconds},
    )
