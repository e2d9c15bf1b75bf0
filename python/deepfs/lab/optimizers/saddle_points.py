"""Saddle points: noise leaves them, and in many dimensions nearly all flat points are saddles."""

from __future__ import annotations

from typing import Any

import numpy as np

import deepfs as dfs

from .._experiment import Movie, Result, experiment
from ._shared import draw_contours, path

SIZES = np.array([1, 2, 3, 4, 5, 6, 8, 10])  # numbers of dimensions


def saddle(x: Any, y: Any) -> Any:
    """Return x^2/2 - y^2/2 + y^4/4: a saddle point at (0, 0), minima at (0, 1) and (0, -1)."""
    return x**2 / 2 - y**2 / 2 + y**4 / 4


@experiment(
    en="Saddle points: noise leaves them; in n dimensions their share is 1 - 0.5^(n-1)",
    zh="鞍点：噪声使其离开；n 维时鞍点所占比例为 1 - 0.5^(n-1)",
)
def saddle_points(noise: float = 0.01, *, seed: int = 0, quick: bool = False) -> Result:
    """Start SGD on the line that leads into a saddle, with and without noise; then count signs.

    Where the gradient is 0, let each of n curvatures be positive or negative with probability 0.5.
    All positive is a minimum, all negative a maximum, each of probability 0.5^n; all else is a
    saddle. Curvatures of a random symmetric matrix depend on each other, and extrema are rarer yet
    (Dauphin et al. 2014, arXiv:1406.2572).
    """
    steps, draws = 150, 3000 if quick else 50_000
    rng = np.random.default_rng(seed)

    def exact(w: Any) -> Any:
        return np.array([w[0], w[1] ** 3 - w[1]])

    ways = {
        "no noise": path(dfs.optimizers.SGD(0.1), exact, (1.5, 0), steps),
        "noise": path(
            dfs.optimizers.SGD(0.1),
            lambda w: exact(w) + noise * rng.standard_normal(2),
            (1.5, 0),
            steps,
        ),
    }
    ends = {name: float(saddle(*points[-1])) for name, points in ways.items()}
    left_at = int(np.argmax(np.abs(ways["noise"][:, 1]) > 0.5))

    def share(negative: Any) -> float:
        """Return the share of rows with both signs."""
        return float((negative.any(axis=1) & ~negative.all(axis=1)).mean())

    coins = [share(rng.random((draws, n)) < 0.5) for n in SIZES]
    matrices = []
    for n in SIZES:
        a = rng.standard_normal((draws // 10, n, n))
        matrices.append(share(np.linalg.eigvalsh(a + a.swapaxes(1, 2)) < 0))
    formula = 1 - 0.5 ** (SIZES - 1)

    def draw_ways(ax: Any, k: int) -> None:
        draw_contours(ax, saddle, np.linspace(-0.24, 1.2, 13), (-0.8, 1.8, -1.5, 1.5))
        for name, points in ways.items():
            wide = 4 if name == "no noise" else 1  # it lies below the other at first
            (line,) = ax.plot(*points[: k + 1].T, ".-", lw=wide, ms=3, label=name)
            ax.plot(*points[k], "o", color=line.get_color())
        ax.plot(0, 0, "kx", label="saddle point")
        ax.plot([0, 0], [-1, 1], "k+", label="minima")
        ax.set_title(f"SGD on x²/2 - y²/2 + y⁴/4, {k} steps")
        ax.legend(loc="upper right", fontsize=8)

    def draw(figure: Any) -> None:
        left, right = figure.subplots(1, 2)
        draw_ways(left, steps)
        right.plot(SIZES, formula, "k:", label="1 - 0.5^(n-1)")
        right.plot(SIZES, coins, "o", label="signs drawn with probability 0.5")
        right.plot(SIZES, matrices, "s", ms=4, label="random symmetric matrices")
        right.set(
            xlabel="number of dimensions n", ylabel="share of saddle points", ylim=(-0.05, 1.05)
        )
        right.set_title("where the gradient is 0")
        right.legend(loc="lower right")

    def draw_step(figure: Any, k: int) -> None:
        left, right = figure.subplots(1, 2)
        draw_ways(left, 6 * k)
        for name, points in ways.items():
            right.plot(saddle(*points[: 6 * k + 1].T), label=name)
        right.set(xlim=(0, steps), ylim=(-0.35, 1.2), xlabel="step", ylabel="f")
        right.legend()

    return Result(
        numbers={
            "f at the end, no noise": ends["no noise"],
            "f at the end, noise": ends["noise"],
            "steps until |y| > 0.5, noise": left_at,
            **{f"share of saddles, n = {n}": s for n, s in zip(SIZES.tolist(), coins, strict=True)},
            "the same for matrices, n = 10": matrices[-1],
        },
        see={
            "en": "Without noise SGD walks into the saddle point and stays, since there the "
            "gradient is 0. The least noise is enough to leave: y grows by a tenth in each step "
            "until a minimum is reached. If signs of curvature come by chance, 99.8 % of the "
            "points of gradient 0 in ten dimensions are saddles; so training meets saddles rather "
            "than poor minima.",
            "zh": "没有噪声时，SGD 走进鞍点后停在那里，因为该处梯度为 0。极小的噪声就足以离开：y "
            "每一步增大十分之一，直到到达极小值。如果曲率的正负是随机的，十维时梯度为 0 的点中 "
            "99.8% 是鞍点；所以训练中遇到的主要是鞍点，而不是差的极小值。",
        },
        found=bool(
            abs(ends["no noise"]) < 1e-6
            and ends["noise"] < -0.24
            and np.abs(coins - formula).max() < 0.03
            and coins[0] == 0
        ),
        draw=draw,
        size=(10, 4.5),
        movie=Movie(steps // 6 + 1, draw_step, per_second=6),
        data={"ways": ways, "n": SIZES, "coins": coins, "matrices": matrices, "formula": formula},
    )
