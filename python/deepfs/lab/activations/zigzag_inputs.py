"""Inputs that are all positive make the weights of a neuron zig-zag; centred ones do not."""

from __future__ import annotations

from typing import Any

import numpy as np

import deepfs as dfs

from .._experiment import Movie, Result, experiment

KINDS = {"all positive": 0.0, "centred": -0.5}


@experiment(
    en="Inputs that are not centred on zero: the weights zig-zag",
    zh="非零中心的输入：权重沿锯齿形路径更新",
)
def zigzag_inputs(rate: float = 0.8, *, seed: int = 0, quick: bool = False) -> Result:
    """Train a neuron y = w x of two inputs by SGD, sample by sample, from (-1, 1) to (1, -1).

    The gradient is (y - t) x. If both inputs are positive, as outputs of sigmoids are, both of its
    components have the sign of y - t: one weight cannot grow while the other shrinks.
    """
    start, goal = np.array([-1.0, 1.0]), np.array([1.0, -1.0])
    runs = 5 if quick else 200
    paths, same, length, batch_same = {}, {}, {}, {}
    for kind, shift in KINDS.items():
        found, lengths, signs, of_batches = [], [], [], []
        for run in range(runs):
            rng = np.random.default_rng([seed, run])
            params, optimizer = {"w": start.copy()}, dfs.optimizers.SGD(rate)
            path, gradients = [start.copy()], []
            while np.linalg.norm(params["w"] - goal) > 0.1 and len(path) < 1000:
                x = rng.uniform(0, 1, size=2) + shift
                gradient = (params["w"] @ x - goal @ x) * x
                optimizer.update(params, {"w": gradient})
                path.append(params["w"].copy())
                gradients.append(gradient)
            steps = np.diff(path, axis=0)
            straight = np.linalg.norm(path[-1] - start)
            lengths.append(np.linalg.norm(steps, axis=1).sum() / straight)
            signs.append(np.mean([g[0] * g[1] > 0 for g in gradients]))
            x = rng.uniform(0, 1, size=(100, 10, 2)) + shift  # batches of 10, at the start
            mean = ((x @ (start - goal))[..., None] * x).mean(axis=1)
            of_batches.append((mean.prod(axis=1) > 0).mean())
            found.append(np.array(path))
        paths[kind], length[kind] = found[0], float(np.mean(lengths))
        same[kind], batch_same[kind] = float(np.mean(signs)), float(np.mean(of_batches))

    def draw_paths(figure: Any, steps: int | None = None) -> None:
        axes = figure.subplots(1, 2, sharex=True, sharey=True)
        for ax, (kind, shift) in zip(axes, KINDS.items(), strict=True):
            a, b = np.meshgrid(np.linspace(-2.2, 2.2, 60), np.linspace(-2.2, 2.2, 60))
            u, v = a - goal[0], b - goal[1]
            # half the mean of ((w - goal) x)^2; 1/12 is the variance of an input
            loss = ((u**2 + v**2) / 12 + (0.5 + shift) ** 2 * (u + v) ** 2) / 2
            ax.contour(a, b, np.sqrt(loss), levels=10, colors="0.8", linewidths=0.8)
            shown = paths[kind][: None if steps is None else steps + 1]
            ax.plot(*shown.T, ".-", color="C1", lw=1, ms=4)
            ax.plot(*start, "ks", label="start")
            ax.plot(*goal, "k*", ms=12, label="goal")
            ax.set(
                xlabel="weight 1",
                aspect="equal",
                title=f"inputs {kind}: {len(shown) - 1} steps,\n"
                f"path {length[kind]:.1f} times the distance",
            )
        axes[0].set_ylabel("weight 2")
        axes[0].legend(loc="lower left")

    frames = min(60, max(len(path) for path in paths.values()))
    return Result(
        numbers={f"steps with both gradients of one sign, {kind}": same[kind] for kind in KINDS}
        | {
            f"the same, means of 10 samples at the start, {kind}": batch_same[kind]
            for kind in KINDS
        }
        | {f"length of the path over the distance, {kind}": length[kind] for kind in KINDS},
        see={
            "en": "With positive inputs each step goes up and right or down and left, never "
            "towards the goal, which lies down and right: the path zig-zags. Centred inputs allow "
            "all directions. So tanh is better than a sigmoid in hidden layers, and images are "
            "centred. In a mean over a batch the signs can differ, which makes the harm smaller.",
            "zh": "输入全为正时，每一步只能朝右上或左下走，而目标在右下方，于是路径呈锯齿形。以 0 "
            "为中心的输入则允许任何方向。所以隐藏层中 tanh 比 sigmoid 好，图像也要先减去均值。"
            "对一批样本取平均后，各分量的符号可以不同，危害会减轻。",
        },
        found=same["all positive"] == 1.0
        and 0.25 < same["centred"] < 0.75
        and length["all positive"] > 1.5 * length["centred"]
        and batch_same["all positive"] < 0.9,
        draw=draw_paths,
        size=(9.0, 4.6),
        movie=Movie(frames, draw_paths),
        data={"paths": paths},
    )
