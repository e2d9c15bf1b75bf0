"""Gradient descent on a bowl with a good, a small and a large learning rate."""

from __future__ import annotations

from typing import Any

import numpy as np

import deepfs as dfs

from .._experiment import Movie, Result, experiment
from ._shared import bowl

START = (-3.0, 4.0)


def _descend(rate: float, steps: int) -> Any:
    """Return the points (steps + 1, 2) of gradient descent on x0^2 + x1^2."""
    params = {"x": np.array(START)}
    sgd = dfs.optimizers.SGD(rate)
    path = [params["x"].copy()]
    for _ in range(steps):
        sgd.update(params, {"x": 2 * params["x"]})
        path.append(params["x"].copy())
    return np.array(path)


@experiment(
    en="Gradient descent with a good, a small and a large learning rate",
    zh="梯度下降：合适、过小与过大的学习率",
)
def gradient_descent(
    good: float = 0.1,
    small: float = 0.002,
    large: float = 1.03,
    steps: int = 100,
    *,
    seed: int = 0,
    quick: bool = False,
) -> Result:
    """Go ``steps`` steps from (-3, 4) on x0^2 + x1^2 with three rates; then try many rates.

    The gradient is 2 x, so a step multiplies x by 1 - 2 lr: it comes closer for 0 < lr < 1. The
    textbook (section 4.4) takes 10 for a large rate and 1e-10 for a small one.
    """
    rates = {"good": good, "small": small, "large": large}
    paths = {name: _descend(rate, steps) for name, rate in rates.items()}
    distances = {name: np.sqrt(bowl(path)) for name, path in paths.items()}
    many = np.linspace(0.01, 1.1, 23 if quick else 110)
    last = np.array([np.sqrt(bowl(_descend(rate, steps)[-1])) for rate in many])
    title = {name: f"{name} rate: {rate:g}" for name, rate in rates.items()}

    def draw(figure: Any, upto: int = steps) -> None:
        fine = np.linspace(-30, 30, 121)
        heights = bowl(np.stack(np.meshgrid(fine, fine), axis=-1))
        panels = figure.subplots(1, 4)
        for k, (ax, name) in enumerate(zip(panels, rates, strict=False)):
            wide = 30 if name == "large" else 5
            ax.contour(fine, fine, heights, wide**2 * np.linspace(0.05, 2, 8), colors="lightgray")
            ax.plot(*paths[name][: upto + 1].T, ".-", color=f"C{k}", lw=0.8, ms=4)
            ax.plot(*START, "ks", ms=5)
            ax.plot(*paths[name][upto], "o", color=f"C{k}", ms=8)
            ax.plot(0, 0, "r+", ms=12)
            ax.set(xlim=(-wide, wide), ylim=(-wide, wide), aspect="equal", title=title[name])
            ax.set_xlabel("x0")
            panels[3].semilogy(distances[name][: upto + 1], color=f"C{k}", label=name)
        panels[0].set_ylabel("x1")
        panels[3].set(xlim=(0, steps), ylim=(1e-10, 1e4), xlabel="step")
        panels[3].set_title("distance from the minimum")
        panels[3].set_box_aspect(1)
        panels[3].legend(loc="lower left")

    frames = 50
    return Result(
        numbers={
            "distance at the start": float(distances["good"][0]),
            **{
                f"distance after {steps} steps, {title[name]}": float(d[-1])
                for name, d in distances.items()
            },
            "largest rate that comes closer": float(many[last < 5].max()),
        },
        see={
            "en": f"The good rate is at the minimum after {steps} steps. The small one goes the "
            "same way, but has hardly left. The large one steps across the minimum to a point "
            "further away, and further with every step: on this bowl a step multiplies x by "
            "1 - 2 lr, whose size is above 1 for rates above 1.",
            "zh": f"合适的学习率经过 {steps} 步到达最小值。学习率过小时方向相同，但只走了一小段。"
            "学习率过大时每一步都越过最小值，落到更远处，越走越远："
            "在这个碗形函数上，每一步使 x 乘以 1 - 2 lr，学习率大于 1 时其绝对值大于 1。",
        },
        found=bool(
            distances["good"][-1] < 1e-6
            and 1 < distances["small"][-1] < distances["small"][0]
            and np.all(np.diff(distances["large"]) > 0)
            and distances["large"][-1] > 10 * distances["large"][0]
            and 0.9 < many[last < 5].max() < 1.01
        ),
        draw=draw,
        size=(13.0, 3.8),
        movie=Movie(frames, lambda figure, k: draw(figure, (k + 1) * steps // frames)),
        data={"paths": paths, "distances": distances, "rates": many, "last": last},
    )
