"""A grid against random draws, where one of two hyper-parameters matters."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._experiment import Result, experiment
from ._shared import accuracy, digits, small_model, train

RATES, DECAYS = (-6.0, 1.0), (-8.0, -4.0)  # powers of ten; the decays are those of the book


def grid(side: int, searches: int, rng: np.random.Generator) -> Any:
    """Return points of a grid in the unit square, (searches, side^2, 2), each shifted at random."""
    steps = (np.arange(side) + rng.random((searches, 2, 1))) / side
    first, second = np.repeat(steps[:, 0], side, axis=1), np.tile(steps[:, 1], side)
    return np.stack([first, second], axis=-1)


def look_up(table: Any, points: Any) -> Any:
    """Return values of a table over the unit square, interpolated linearly on both axes."""
    places = points * (np.array(table.shape) - 1)
    low = np.minimum(places.astype(int), np.array(table.shape) - 2)
    (i, j), (s, t) = np.moveaxis(low, -1, 0), np.moveaxis(places - low, -1, 0)
    return (1 - s) * ((1 - t) * table[i, j] + t * table[i, j + 1]) + s * (
        (1 - t) * table[i + 1, j] + t * table[i + 1, j + 1]
    )


@experiment(
    en="Grid against random search, where only one of two parameters matters",
    zh="两个超参数中只有一个重要时，网格搜索与随机搜索的比较",
)
def grid_or_random(
    sides: tuple[int, ...] = (2, 3, 4, 5, 6),
    searches: int = 2000,
    *,
    seed: int = 0,
    quick: bool = False,
    full: bool = False,
) -> Result:
    """Train a network over rate and weight decay, then search the table of its accuracies.

    A grid of k x k trials tries k learning rates, a random search of as many trials k x k. Each of
    the ``searches`` shifts the grid and draws the points anew; between the points of the table the
    accuracy is interpolated. Source: Bergstra and Bengio, "Random search for hyper-parameter
    optimization", 2012, figure 1.
    """
    images, epochs, rows, columns = (300, 3, 22, 2) if quick else (1000, 5, 37, 5)
    searches = min(searches, 500) if quick else searches
    data, validation, _ = digits(images, full)
    rates = np.logspace(*RATES, rows)
    decays = np.logspace(*DECAYS, columns)
    table = np.empty((rows, columns))
    for i, rate in enumerate(rates):
        for j, decay in enumerate(decays):
            model = small_model(rate, decay, seed)
            train(model, data, epochs)
            table[i, j] = accuracy(model, validation)

    rng = np.random.default_rng(seed)
    points = {
        "grid": [grid(side, searches, rng) for side in sides],
        "random": [rng.random((searches, side**2, 2)) for side in sides],
    }
    of_each = {way: [look_up(table, p).max(axis=1) for p in each] for way, each in points.items()}
    best = {way: np.mean(values, axis=1) for way, values in of_each.items()}
    missed = {way: table.max() - values for way, values in best.items()}
    matters = float(np.ptp(table.mean(axis=1))), float(np.ptp(table, axis=1).mean())
    nine = sides.index(3) if 3 in sides else 0
    k, n = sides[nine], sides[nine] ** 2

    def draw(figure: Any) -> None:
        axes = figure.subplots(2, 3, height_ratios=(1, 2.2), width_ratios=(1, 1, 1.2))
        for (above, below), way in zip(axes.T, points, strict=False):
            usual = np.abs(of_each[way][nine] - best[way][nine]).argmin()  # as good as the mean
            x, y = points[way][nine][usual].T
            x, y = RATES[0] + np.ptp(RATES) * x, DECAYS[0] + np.ptp(DECAYS) * y
            above.plot(np.log10(rates), table.mean(axis=1), "k")
            for at in x:
                above.axvline(at, color="C1", lw=1)
            tried = len({round(at, 6) for at in x})
            above.set(title=f"{way}: {len(x)} trials, {tried} rates", ylabel="accuracy")
            below.contourf(np.log10(rates), np.log10(decays), table.T, 8, cmap="Blues")
            below.plot(x, y, "o", color="C1", ms=6)
            below.set(xlabel="log10 of the learning rate", ylabel="log10 of the decay")
            below.set_ylim(DECAYS[0] - 0.15, DECAYS[1] + 0.15)
            for ax in (above, below):
                ax.set_xlim(RATES[0] - 0.2, RATES[1] + 0.2)
        for ax in axes[:, 2]:
            ax.remove()
        ax = figure.add_subplot(axes[0, 2].get_gridspec()[:, 2])
        for marker, (way, values) in zip(("s", "o"), best.items(), strict=True):
            ax.plot([side**2 for side in sides], values, f"{marker}-", label=way)
        ax.axhline(table.max(), color="0.6", ls=":", label="best of all")
        ax.set(xlabel="trials", ylabel="best accuracy, mean of the searches")
        ax.set(title=f"{searches:,} searches of each kind")
        ax.legend(loc="lower right")

    numbers = {
        "the rate changes the accuracy by": matters[0],
        "the decay changes the accuracy by": matters[1],
    }
    for side, of_grid, of_random in zip(sides, *best.values(), strict=True):
        numbers[f"{side**2} trials: best of a grid of {side} rates"] = float(of_grid)
        numbers[f"{side**2} trials: best of {side**2} random rates"] = float(of_random)
    return Result(
        numbers=numbers,
        see={
            "en": "The bands of the maps (dark: accurate) run upwards: the accuracy depends on the "
            "rate, hardly on the decay. A grid repeats each rate for every decay, so "
            f"{n} trials try {k} rates, and may all miss the narrow peak; {n} random trials try "
            f"{n}. Mean of the best: {best['grid'][nine]:.3f} against {best['random'][nine]:.3f}. "
            "Which parameters matter is not known before; with random draws it need not be.",
            "zh": "图中的色带（深色表示精度高）是竖直的：精度取决于学习率，几乎与权值衰减无关。"
            f"网格对每个衰减系数都重复同样的学习率，所以 {n} 次试验只试了 {k} 个学习率，可能全部"
            f"错过窄峰；随机的 {n} 次试验则试了 {n} 个。最好结果的平均值："
            f"{best['grid'][nine]:.3f} 对 {best['random'][nine]:.3f}。哪些超参数重要，事先并不"
            "知道；随机选取时也不必知道。",
        },
        found=bool((missed["random"] < missed["grid"]).all())
        and bool(missed["random"][nine] < 0.8 * missed["grid"][nine])
        and matters[0] > 10 * matters[1],
        draw=draw,
        size=(12.0, 5.0),
        data={"table": table, "rates": rates, "decays": decays, "best": best, "points": points},
    )
