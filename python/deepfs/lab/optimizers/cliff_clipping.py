"""A cliff in the loss of a recurrent unit, with and without clipped gradients."""

from __future__ import annotations

from typing import Any

import numpy as np

import deepfs as dfs

from .._experiment import Movie, Result, experiment
from ._shared import path

START, TARGET, UNROLLED = (5.0, -2.2), 0.7, 50


def sigmoid(a: Any) -> Any:
    """Return 1 / (1 + exp(-a))."""
    return 1 / (1 + np.exp(-a))


def loss(w: Any, b: Any) -> Any:
    """Return (sigmoid(a) - 0.7)^2, where a is 0.5 at first and 50 times w sigmoid(a) + b."""
    a = np.full(np.shape(w), 0.5)
    for _ in range(UNROLLED):
        a = w * sigmoid(a) + b
    return (sigmoid(a) - TARGET) ** 2


def gradient(point: Any) -> Any:
    """Return the derivatives with respect to w and b, by backpropagation through the 50 steps."""
    w, b = point
    a = [0.5]
    for _ in range(UNROLLED):
        a.append(w * sigmoid(a[-1]) + b)
    s = sigmoid(np.array(a))
    d, total = 2 * (s[-1] - TARGET) * s[-1] * (1 - s[-1]), np.zeros(2)
    for before in s[-2::-1]:
        total += d * np.array([before, 1.0])
        d *= w * before * (1 - before)  # many factors above 1: the gradient explodes
    return total


@experiment(
    en="A cliff: one step throws SGD away, clipped gradients stay",
    zh="悬崖：一步就把 SGD 甩开，梯度裁剪使其留下",
)
def cliff_clipping(
    lr: float = 0.3, clip_norm: float = 0.3, steps: int = 60, *, seed: int = 0, quick: bool = False
) -> Result:
    """Train a single recurrent unit, the example of Pascanu et al. 2013, arXiv:1211.5063.

    For some w and b the unit goes to one of two states within its 50 steps; on the border between
    them the loss has a cliff, where its gradient is hundreds of times that beside it.
    """
    ways = {
        "not clipped": path(dfs.optimizers.SGD(lr), gradient, START, steps),
        "clipped": path(dfs.optimizers.SGD(lr, clip_norm=clip_norm), gradient, START, steps),
    }
    losses = {name: loss(*points.T) for name, points in ways.items()}
    lengths = {name: np.hypot(*np.diff(points, axis=0).T) for name, points in ways.items()}
    away = {name: float(np.hypot(*(points[-1] - START))) for name, points in ways.items()}

    w, b = np.meshgrid(np.linspace(3.8, 5.6, 121), np.linspace(-2.8, -1.6, 81))
    surface = loss(w, b)

    def draw_until(figure: Any, k: int) -> None:
        left, right = figure.subplots(1, 2)
        left.contour(w, b, surface, np.linspace(0.0, 0.4, 17)[1:], colors="0.75", linewidths=0.7)
        for name, points in ways.items():
            (line,) = left.plot(*points[: k + 1].T, ".-", lw=0.9, ms=4, label=name)
            left.plot(*points[k], "o", color=line.get_color())
            right.plot(
                losses[name][: k + 1], ".-", lw=0.9, ms=4, color=line.get_color(), label=name
            )
        left.plot(*START, "k^", label="start")
        left.set(xlim=(3.8, 5.6), ylim=(-2.8, -1.6), xlabel="w", ylabel="b")
        left.set_title("lines close together: the cliff")
        right.set(xlim=(-1, steps + 1), ylim=(-0.01, 0.36), xlabel="step", ylabel="loss")
        right.set_title(f"after {k} steps")
        left.legend(loc="lower left", fontsize=8)
        right.legend(loc="upper right", fontsize=8)

    return Result(
        numbers={
            **{f"longest step, {name}": float(each.max()) for name, each in lengths.items()},
            **{f"distance from the start, {name}": each for name, each in away.items()},
            **{
                f"mean loss of the last ten steps, {name}": float(f[-10:].mean())
                for name, f in losses.items()
            },
            "norm of the gradient at the end, not clipped": float(
                np.hypot(*gradient(ways["not clipped"][-1]))
            ),
        },
        see={
            "en": "The valley lies at the foot of a cliff, and both paths step over the edge "
            "again and again. Without clipping one such step is "
            f"{lengths['not clipped'].max():.0f} long: it lands on a plain where the gradient is "
            f"nearly 0, and nothing leads back. Clipped to a norm of {clip_norm:g}, a gradient "
            "keeps its direction but not its length, and SGD settles in the valley.",
            "zh": "谷底紧挨着悬崖，两条路径都多次越过边缘。不裁剪时，其中一步长达 "
            f"{lengths['not clipped'].max():.0f}，落到梯度几乎为 0 的平地上，再也回不来。把梯度的"
            f"范数裁剪到 {clip_norm:g} 后，方向不变而长度受限，SGD 最终稳定在谷中。",
        },
        found=bool(
            lengths["not clipped"].max() > 10
            and lengths["clipped"].max() <= 1.001 * lr * clip_norm
            and losses["clipped"][-10:].mean() < losses["not clipped"][-10:].mean() / 4
        ),
        draw=lambda figure: draw_until(figure, steps),
        size=(10, 4.5),
        movie=Movie(steps // 3 + 1, lambda figure, k: draw_until(figure, 3 * k), per_second=5),
        data={"ways": ways, "losses": losses},
    )
