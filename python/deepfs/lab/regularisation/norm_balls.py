"""Balls of norms, and why a penalty of L1 gives zeros where one of L2 does not."""

from __future__ import annotations

from typing import Any

import numpy as np

from deepfs.optimizers import SGD, Group
from deepfs.regularizers import L1, L2

from .._experiment import Result, experiment

CURVATURE = np.array([[1.0, 0.4], [0.4, 0.7]])  # of the loss (w - m)' A (w - m) / 2


def norm(w: Any, p: float) -> Any:
    """Return the norm sum(|w|^p)^(1/p) of the last axis; for p = inf, the largest magnitude."""
    if p == np.inf:
        return np.abs(w).max(axis=-1)
    return (np.abs(w) ** p).sum(axis=-1) ** (1 / p)


@experiment(
    en="Norms drawn: the corners of the L1 ball are why L1 gives zeros",
    zh="画出各种范数：L1 球的尖角正是 L1 产生零的原因",
)
def norm_balls(
    minimum: tuple[float, float] = (0.25, 1.2),
    rate: float = 0.5,
    *,
    seed: int = 0,
    quick: bool = False,
) -> Result:
    """Draw {w: norm of w = 1}, and follow the minimum of loss + penalty as the rate grows.

    The loss is a bowl around ``minimum``; 500 further bowls around random points count how often
    the penalised minimum lies on an axis.
    """
    rng = np.random.default_rng(seed)
    centres = np.vstack([minimum, rng.uniform(-1.5, 1.5, (500, 2))])
    rates = np.linspace(0, 1.6, 9 if quick else 33)
    kinds = {"L1": lambda rate: L1(rate, proximal=True), "L2": L2}

    def least(regularizer: Any) -> Any:
        """Return where loss + penalty is least: a row for each centre."""
        w = {"w": centres.copy()}
        sgd = SGD(0.5, groups=[Group("w", regularizer=regularizer)])
        for _ in range(60):
            sgd.update(w, {"w": (w["w"] - centres) @ CURVATURE})
        return w["w"]

    paths = {
        kind: np.array([least(make(each))[0] for each in rates]) for kind, make in kinds.items()
    }
    at = {kind: least(make(rate)) for kind, make in kinds.items()}
    zeros = {kind: float((w[1:] == 0).any(axis=1).mean()) for kind, w in at.items()}

    def draw(figure: Any) -> None:
        first, *others = figure.subplots(1, 3)
        grid = np.linspace(-1.5, 1.5, 301)
        plane = np.stack(np.meshgrid(grid, grid), axis=-1)
        for color, p in zip(("C4", "C0", "C1", "C2", "C3"), (0.5, 1, 2, 4, np.inf), strict=True):
            first.contour(grid, grid, norm(plane, p), [1.0], colors=color)
            first.plot([], [], color, label=f"p = {p:g}")
        first.set(title="Points whose norm is 1")
        first.legend(loc="lower center", fontsize=8, ncol=3)
        off = plane - minimum
        loss = ((off @ CURVATURE) * off).sum(axis=-1) / 2
        for ax, kind, p, color in zip(others, kinds, (1, 2), ("C0", "C1"), strict=True):
            w = at[kind][0]
            ax.contour(grid, grid, loss, 10, colors="0.8", linewidths=0.8)
            touching = (w - minimum) @ CURVATURE @ (w - minimum) / 2
            ax.contour(grid, grid, loss, [touching], colors="k", linewidths=1)
            ax.contour(grid, grid, norm(plane, p), [norm(w, p)], colors=color)
            ax.plot(*paths[kind].T, ".-", color="C3", label="minimum as the rate grows")
            ax.plot(*w, "ko", label=f"rate {rate:g}: ({w[0]:.2f}, {w[1]:.2f})")
            ax.set(title=f"Loss with {kind}: zeros in {zeros[kind]:.0%} of 500")
            ax.legend(loc="lower right", fontsize=8)
        for ax in (first, *others):
            ax.set(aspect="equal", xlabel="w0", ylabel="w1", xlim=(-1.5, 1.5), ylim=(-1.5, 1.5))
            ax.axhline(0, color="0.6", lw=0.5)
            ax.axvline(0, color="0.6", lw=0.5)

    vector = np.array([3.0, -4.0])
    numbers = {f"norm of (3, -4), p = {p:g}": float(norm(vector, p)) for p in (1, 2, np.inf)}
    for kind, w in at.items():
        numbers[f"{kind} of rate {rate:g}: w0"] = float(w[0, 0])
        numbers[f"{kind} of rate {rate:g}: w1"] = float(w[0, 1])
        numbers[f"{kind}: share of 500 bowls with a zero"] = zeros[kind]
    return Result(
        numbers=numbers,
        see={
            "en": "Where the ball of the norm touches a contour of the loss, there is the minimum "
            "of "
            "loss and penalty. The ball of L1 has corners on the axes, and a corner is often what "
            f"touches: {zeros['L1']:.0%} of 500 bowls have a weight of exactly 0. The ball of L2 "
            "is "
            f"round: {zeros['L2']:.0%}. As the rate grows, the path of L1 runs into an axis and "
            "stays on it; that of L2 goes to 0 along a curve.",
            "zh": "范数的球与损失的等高线相切之处，就是损失加惩罚项的最小点。L1 "
            f"的球在坐标轴上有尖角，相切的往往正是尖角：500 个碗形损失中，有 {zeros['L1']:.0%} "
            "的最小点有一个权值恰好为零。"
            f"L2 的球是圆的：{zeros['L2']:.0%}。惩罚系数变大时，L1 的路径碰到坐标轴后就沿轴走，"
            "L2 的路径则沿曲线趋向 0。",
        },
        found=zeros["L1"] > 0.3
        and zeros["L2"] == 0
        and bool(at["L1"][0, 0] == 0 < at["L1"][0, 1])
        and bool((at["L2"][0] > 0).all()),
        draw=draw,
        size=(13.0, 4.6),
        data={"rates": rates, "paths": paths, "minima": at, "centres": centres},
    )
