"""Bayesian optimisation of one hyper-parameter: a Gaussian process says where to try next."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._experiment import Movie, Result, experiment
from ._gaussian_process import expected_improvement, surrogate

GRID = np.linspace(-5, 1, 241)  # log10 of the learning rate


def trial(x: Any) -> Any:
    """Return what stands for the loss of a training: two valleys, the deeper one narrow."""
    wide, narrow = np.exp(-(((x + 3.6) / 0.9) ** 2)), np.exp(-(((x + 0.8) / 0.5) ** 2))
    return 2.3 - 1.2 * wide - 1.9 * narrow + 0.15 * x


def search(start: Any, trials: int, length: float) -> tuple[Any, list[tuple[Any, ...]]]:
    """Return the points tried; and after each, mean, deviation and expected improvement."""
    x, steps = np.array(start), []
    while True:
        y = trial(x)
        mean, deviation = surrogate(x, y, GRID, length)
        gain = expected_improvement(mean, deviation, y.min())
        steps.append((mean, deviation, gain))
        if len(x) >= trials:
            return x, steps
        x = np.append(x, GRID[gain.argmax()])


@experiment(
    en="Bayesian optimisation: surrogate, bounds, expected improvement, trial by trial",
    zh="贝叶斯优化：逐次试验展示代理模型、置信区间和期望改进",
)
def bayesian_optimisation(
    trials: int = 12,
    length: float = 0.6,
    *,
    seed: int = 0,
    quick: bool = False,
) -> Result:
    """Look for the lowest of a function of one variable, each value of which is expensive.

    The function stands for the loss of a training over the logarithm of its learning rate. After
    two trials at random, each next one is where the expected improvement is largest. ``length`` is
    the distance over which the Gaussian process expects the function to change: try 0.1 and 3.
    """
    rng = np.random.default_rng(seed)
    repeats = 20 if quick else 200
    starts = rng.choice(GRID, (repeats, 2))
    lowest = trial(GRID).min()
    chosen = [search(start, trials, length)[0] for start in starts]
    drawn = np.concatenate([starts, rng.choice(GRID, (repeats, trials - 2))], axis=1)
    missed = {
        way: np.minimum.accumulate(trial(np.array(x)), axis=1) - lowest
        for way, x in (("random", drawn), ("expected improvement", chosen))
    }
    x, steps = search((-3.0, 0.75), trials, length)  # the one that is shown: first the wide valley
    y = trial(x)
    mean = {way: values.mean(axis=0) for way, values in missed.items()}
    hits = {way: float((values[:, -1] < 0.05).mean()) for way, values in missed.items()}

    def show(above: Any, below: Any, k: int) -> None:
        """Draw what is known after k trials, and which comes next."""
        middle, deviation, gain = steps[k - 2]
        above.fill_between(GRID, middle - 2 * deviation, middle + 2 * deviation, color="C0",
                           alpha=0.2, label="mean ± 2 deviations")  # fmt: skip
        above.plot(GRID, middle, "C0", label="surrogate: mean")
        above.plot(GRID, trial(GRID), "k--", lw=1, label="the function, not known")
        above.plot(x[:k], y[:k], "ko", label="trials")
        below.fill_between(GRID, gain, color="C2", alpha=0.5)
        below.set(
            xlabel="log10 of the learning rate", ylim=(0, max(1.1 * gain.max(), 1e-9)), yticks=[0]
        )
        below.set_title(f"largest: {gain.max():.2g}", fontsize=9)
        if k < trials:
            for ax in (above, below):
                ax.axvline(x[k], color="C3", lw=1.5, ls=":", label="next trial")
        above.set(title=f"after {k} trials: best {y[:k].min():.2f}", ylim=(-0.7, 3.7))
        for ax in (above, below):
            ax.set_xlim(GRID[0] - 0.2, GRID[-1] + 0.2)

    def draw(figure: Any) -> None:
        moments = sorted({2, min(5, trials), trials})
        axes = figure.subplots(2, len(moments) + 1, height_ratios=(2.2, 1), squeeze=False)
        for (above, below), k in zip(axes.T, moments, strict=False):
            show(above, below, k)
        axes[0, 0].set_ylabel("loss")
        axes[1, 0].set_ylabel("expected\nimprovement")
        figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower left", ncols=5)
        for ax in axes[:, -1]:
            ax.remove()
        ax = figure.add_subplot(axes[0, -1].get_gridspec()[:, -1])
        for way, values in mean.items():
            ax.plot(np.arange(1, trials + 1), values, ".-", label=way)
        ax.set(xlabel="trials", xticks=range(2, trials + 1, 2), ylabel="best loss - lowest loss")
        ax.set_title(f"mean of {repeats} searches")
        ax.legend()

    def draw_step(figure: Any, k: int) -> None:
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(2.2, 1))
        show(above, below, min(k + 2, trials))
        above.set_ylabel("loss")
        below.set_ylabel("expected\nimprovement")
        figure.legend(*above.get_legend_handles_labels(), loc="outside right center")

    numbers = {f"searches that find the lowest valley, {way}": hit for way, hit in hits.items()}
    for way, values in mean.items():
        numbers[f"best loss - lowest loss, {way}"] = float(values[-1])
    numbers["largest deviation at a tried point"] = float(
        surrogate(x, y, x, length)[1].max() / y.std()
    )
    return Result(
        numbers=numbers,
        see={
            "en": "The surrogate goes through the trials, and its bounds widen between them. The "
            "expected improvement is large where the mean is low or where the bounds are wide, "
            "and 0 where a trial was: so the search first looks around, then goes down. It "
            f"leaves the wide valley and finds the deep one in {hits['expected improvement']:.0%} "
            f"of {repeats} searches, random draws in {hits['random']:.0%}. It pays where a trial "
            "takes minutes: beside that, the time to choose is nothing.",
            "zh": "代理模型经过已试的点，置信区间在点与点之间变宽。均值低或区间宽的地方，期望改进"
            "就大；试过的地方为 0。所以搜索先四处探索，再往低处走。它能离开宽谷，找到深谷："
            f"{repeats} 次搜索中成功 {hits['expected improvement']:.0%}，随机选取为 "
            f"{hits['random']:.0%}。一次试验要几分钟时，这样做就值得：它自身的计算量可以忽略。",
        },
        found=hits["expected improvement"] > hits["random"] + 0.2
        and bool(mean["expected improvement"][-1] < 0.5 * mean["random"][-1])
        and numbers["largest deviation at a tried point"] < 0.01,
        draw=draw,
        size=(13.0, 5.0),
        movie=Movie(trials + 1, draw_step, per_second=1),
        data={"x": x, "y": y, "steps": steps, "missed": missed, "grid": GRID},
    )
