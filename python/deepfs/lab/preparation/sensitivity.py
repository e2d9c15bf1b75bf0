"""How much a small change of weights does, before and after the data are prepared."""

from __future__ import annotations

from typing import Any

import numpy as np

import deepfs as dfs
from deepfs import layers as L

from .._experiment import Result, experiment


@experiment(
    en="A small change of the weights: raw data against standardised data",
    zh="权值的微小变化：原始数据与标准化数据的比较",
)
def sensitivity(
    change: float = 0.05,
    centre: tuple[float, float] = (30.0, 20.0),
    *,
    seed: int = 0,
    quick: bool = False,
) -> Result:
    """Write one classifier for raw and for standardised points, and change its weights a little.

    The classifier is trained on standardised points. Dividing its weights by the deviations, and
    shifting its bias, gives the same scores from raw points: before the change, both are one line.
    The change adds normal noise of ``change`` times the root mean square of the weights.
    """
    points, draws = (200, 200) if quick else (400, 1000)
    rng = np.random.default_rng(seed)
    y = np.arange(points) % 2
    x = rng.normal(0, 0.8, (points, 2)) + np.array(centre) + np.where(y[:, None], 1.3, -1.3)
    scaler = dfs.preprocessing.Standardize()
    rule = dfs.optimizers.Momentum(0.1)
    model = dfs.Model(L.Dense(2), "cross_entropy", rule, preprocess=scaler, seed=seed)
    model.fit(x, y, batch_size=50, epochs=20 if quick else 50, verbose=0)

    weight, bias = model.get_weights().values()
    mean, std = scaler.arrays()["mean"], scaler.arrays()["std"]
    raw_weight = weight / std[:, None]
    forms = {  # inputs, weights, bias
        "raw": (x, raw_weight, bias - mean @ raw_weight),
        "standardised": (scaler(x), weight, bias),
    }
    apart = max(float(np.abs(z @ w + b - model.predict(x)).max()) for z, w, b in forms.values())
    sizes = np.array([0.0, 0.01, 0.02, 0.05, 0.1, 0.2, change])
    noise = rng.standard_normal((draws, *weight.shape))
    accuracy, loss = {}, {}
    for name, (z, w, b) in forms.items():
        rows = []
        for size in sizes:
            scores = z @ (w + size * np.sqrt(np.mean(w**2)) * noise) + b  # (draws, points, 2)
            margin = np.take_along_axis(scores, y[None, :, None], 2) * 2 - scores.sum(2)[..., None]
            rows.append(((margin > 0).mean(), np.logaddexp(0, -margin).mean()))
        accuracy[name], loss[name] = np.array(rows).T
    order = np.argsort(sizes)

    def draw(figure: Any) -> None:
        axes = figure.subplots(1, 3)
        for ax, (name, (z, w, b)) in zip(axes, forms.items(), strict=False):
            ax.scatter(*z.T, c=y, s=6, cmap="coolwarm")
            low, high = z.min(axis=0) - 0.5, z.max(axis=0) + 0.5
            across = np.array([low[0] - 9, high[0] + 9])
            noisy = w + change * np.sqrt(np.mean(w**2)) * noise[:40]
            for u, color, width in [(each, "0.4", 0.4) for each in noisy] + [(w, "k", 2.0)]:
                slope, shift = u[:, 1] - u[:, 0], b[1] - b[0]
                ax.plot(across, -(shift + slope[0] * across) / slope[1], c=color, lw=width)
            ax.set(title=f"{name}: weights changed by {change:.0%}", xlabel="x0", ylabel="x1")
            ax.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]))
        for name in forms:
            axes[2].plot(100 * sizes[order], 100 * accuracy[name][order], "o-", label=name)
        axes[2].set(xlabel="change of the weights, %", ylabel="accuracy, %", ylim=(None, 101))
        axes[2].set(title=f"Mean of {draws:,} changes")
        axes[2].legend()

    numbers = {"largest difference of scores, before the change": apart}
    for name in forms:
        numbers[f"{name}: accuracy before the change"] = float(accuracy[name][0])
        numbers[f"{name}: accuracy, weights changed by {change:.0%}"] = float(accuracy[name][-1])
        numbers[f"{name}: loss before the change"] = float(loss[name][0])
        numbers[f"{name}: loss, weights changed by {change:.0%}"] = float(loss[name][-1])
    rise = {name: loss[name][-1] - loss[name][0] for name in forms}
    return Result(
        numbers=numbers,
        see={
            "en": f"Both are one classifier. A change of its weights by {change:.0%} leaves "
            f"{accuracy['standardised'][-1]:.1%} right on standardised points, but only "
            f"{accuracy['raw'][-1]:.1%} on raw ones. The change of a score is the change of "
            "the weights times the inputs, so it grows with the distance of the points from the "
            "origin. Data around 0 make the loss less sensitive to the weights, and easier to "
            "optimise.",
            "zh": f"两者是同一个分类器。权值变化 {change:.0%} 后，在标准化的点上仍有 "
            f"{accuracy['standardised'][-1]:.1%} 分类正确，在原始的点上只剩 "
            f"{accuracy['raw'][-1]:.1%}。得分的变化等于权值的变化乘以输入，"
            "所以点离原点越远，影响越大。以 0 为中心的数据使损失对权值不那么敏感，也更容易优化。",
        },
        found=apart < 1e-3
        and bool(accuracy["raw"][-1] < accuracy["standardised"][-1] - 0.03)
        and bool(rise["raw"] > 10 * rise["standardised"]),
        draw=draw,
        size=(13.0, 4.4),
        data={"sizes": sizes, "accuracy": accuracy, "loss": loss, "forms": forms},
    )
