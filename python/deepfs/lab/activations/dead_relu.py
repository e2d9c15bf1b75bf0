"""Dead ReLUs: a large step moves a neuron's hyperplane out of the data, and it never comes back."""

from __future__ import annotations

from typing import Any

import numpy as np

import deepfs as dfs
from deepfs import layers as L

from .._experiment import Movie, Result, experiment

UNITS, RATE, TOO_LARGE = 10, 0.1, 3.0
ONCE = dfs.schedules.MultiStep(TOO_LARGE, [1], RATE / TOO_LARGE)  # one step, then the other rate
LARGE, SMALL = "ReLU, first step of rate 3", "ReLU, rate 0.1"
LEAKY = "leaky ReLU, first step of rate 3"
RUNS: dict[str, tuple[Any, Any]] = {
    LARGE: (L.ReLU, ONCE),
    SMALL: (L.ReLU, RATE),
    LEAKY: (lambda: L.LeakyReLU(0.1), ONCE),
}


def watch(x: Any, t: Any, activation: Any, rate: Any, steps: int, seed: int) -> dict[str, Any]:
    """Train a hidden layer; return, by step, its weights and which neurons are off everywhere."""
    hidden, end = L.Dense(UNITS), L.Dense(1, bias=False, initializer=dfs.initializers.Constant(0.7))
    net = L.Sequential([hidden, activation(), end])
    model = dfs.Model(net, dfs.losses.MeanSquaredError(), dfs.optimizers.SGD(rate))
    model.predict(x[:1])  # builds the layers
    end.freeze()  # only the lines move
    first = np.random.default_rng(seed).uniform(0, 2 * np.pi)
    angles = first + 2 * np.pi * np.arange(UNITS) / UNITS
    weight = np.stack([np.cos(angles), np.sin(angles)]).astype(np.float32)
    # all lines go through the middle of the cloud: every neuron is alive
    hidden.set_weights({"weight": weight, "bias": -x.mean(axis=0) @ weight})
    lines, off, losses = [], [], []
    for _ in range(steps + 1):
        now = hidden.get_weights()
        lines.append((now["weight"], now["bias"]))
        off.append((hidden(x) <= 0).all(axis=0))
        losses.append(float(model.evaluate(x, t)["loss"]))
        model.train_on_batch(x, t)
    return {"lines": lines, "off": np.array(off), "losses": losses}


@experiment(
    en="Dead ReLUs: their hyperplane leaves the data; leaky or a smaller rate cures it",
    zh="死亡 ReLU：超平面离开数据；用 Leaky ReLU 或减小学习率来解决",
)
def dead_relu(steps: int = 150, *, seed: int = 0, quick: bool = False) -> Result:
    """Fit |x1 - 2| + |x2 - 1.5| / 2 on points of the plane by the sum of ten neurons, times 0.7.

    A neuron is above 0 on one side of the line w x + b = 0. If all points lie on the other, its
    gradient is 0 for each, and no step moves it any more: CS231n, "Neural networks 1".
    """
    steps = min(steps, 100) if quick else steps
    rng = np.random.default_rng(seed)
    angle, radius = rng.uniform(0, 2 * np.pi, 200), np.sqrt(rng.uniform(size=200))
    cloud = [2 + 2 * radius * np.cos(angle), 1.5 + 1.2 * radius * np.sin(angle)]
    x = np.array(cloud, np.float32).T  # points of an ellipse
    t = np.abs(x[:, :1] - 2) + np.abs(x[:, 1:] - 1.5) / 2
    runs = {name: watch(x, t, kind, rate, steps, seed) for name, (kind, rate) in RUNS.items()}
    off = {name: run["off"].sum(axis=1) for name, run in runs.items()}
    ever = {name: run["off"].any(axis=0) for name, run in runs.items()}
    back = {name: int((ever[name] & ~run["off"][-1]).sum()) for name, run in runs.items()}
    last = {name: float(np.mean(run["losses"][-10:])) for name, run in runs.items()}

    def draw_clouds(axes: Any, step: int) -> None:
        for ax, (name, run) in zip(axes, runs.items(), strict=True):
            ax.scatter(*x.T, c=t[:, 0], s=8, cmap="viridis")
            w, b = run["lines"][step]
            length = np.hypot(*w) + 1e-12
            normals = w / length  # they point to the side where the neuron is above 0
            middle = x.mean(axis=0)[:, None]
            feet = middle - ((normals * middle).sum(axis=0) + b / length) * normals
            along = 60 * np.stack([-normals[1], normals[0]])
            dead = run["off"][step]
            for chosen, style in ((~dead, "-"), (dead, "--")):
                color = "C3" if style == "--" else "0.35"
                foot, way = feet[:, chosen], along[:, chosen]
                ax.plot(*np.stack([foot - way, foot + way], axis=1), style, color=color, lw=1)
                ax.quiver(*foot, *normals[:, chosen], color=color, scale=14, width=0.008)
            ax.set(
                xlim=(-3, 7),
                ylim=(-3, 6),
                xlabel="x1",
                aspect="equal",
                title=f"{name}\nstep {step}: {off[name][step]} of {UNITS} off",
            )
        axes[0].set_ylabel("x2")

    def draw(figure: Any) -> None:
        upper, lower = figure.subfigures(2, 1, height_ratios=[1.35, 1])
        draw_clouds(upper.subplots(1, 3, sharey=True), steps)
        left, right = lower.subplots(1, 2)
        for name, style in zip(RUNS, ["C3-", "C0--", "C2-."], strict=True):
            left.plot(off[name], style, label=name)
            right.plot(runs[name]["losses"], style, label=name)
        left.set(xlabel="training steps", ylabel="neurons off for all points", ylim=(-0.3, 10.3))
        right.set(xlabel="training steps", ylabel="loss (mean square error)", ylim=(0, 3))
        right.legend(fontsize=8)

    shown = np.unique(np.r_[:12, np.linspace(12, steps, 24).astype(int)])  # the first steps matter

    def draw_frame(figure: Any, frame: int) -> None:
        draw_clouds(figure.subplots(1, 3, sharey=True), shown[frame])

    return Result(
        numbers={
            f"neurons off for all points at the end, {name}": int(off[name][-1]) for name in RUNS
        }
        | {f"neurons off at some time, {name}": int(ever[name].sum()) for name in RUNS}
        | {f"of these, back at the end, {name}": back[name] for name in RUNS}
        | {f"loss at the end, {name}": last[name] for name in RUNS},
        see={
            "en": "Arrows point to the side where a neuron is above 0. At the start all lines go "
            f"through the data. One step of rate 3 throws {off[LARGE][-1]} lines out of the "
            "cloud, with the arrows pointing away (red, dashed): these neurons are 0 for all "
            "points, have no gradient and stay where they are, though the rate is 0.1 from then "
            "on. With rate 0.1 from the start hardly any is lost. A leaky ReLU keeps a slope of "
            "0.1 on the other side: all neurons go on learning, and the lines that are needed "
            "come back.",
            "zh": "箭头指向神经元输出大于 0 的一侧。开始时所有直线都穿过数据。学习率为 3 的一步把 "
            f"{off[LARGE][-1]} 条直线甩出点云，箭头背向数据（红色虚线）："
            "这些神经元对所有点的输出都是 0，没有梯度，即使此后学习率只有 0.1，也不再移动。"
            "从一开始就用 0.1，几乎不会出现死亡的神经元。Leaky ReLU 在另一侧保留 0.1 的斜率："
            "所有神经元都继续学习，需要的直线会回来。",
        },
        found=off[LARGE][-1] >= 8
        and back[LARGE] == 0
        and off[SMALL][-1] <= 2
        and back[LEAKY] >= 1
        and 2 * max(last[SMALL], last[LEAKY]) < last[LARGE],
        draw=draw,
        size=(10.0, 7.2),
        movie=Movie(len(shown), draw_frame, 4),
        data={
            "off": {name: run["off"] for name, run in runs.items()},
            "lines": {name: run["lines"] for name, run in runs.items()},
        },
    )
