"""One cloud of points: raw, centred, normalised, decorrelated, whitened."""

from __future__ import annotations

from typing import Any

import numpy as np

from deepfs.preprocessing import PCA, PCAWhitening, Standardize, ZCAWhitening, ZeroCenter

from .._experiment import Movie, Result, experiment


@experiment(
    en="A cloud of points: raw, centred, normalised, decorrelated, whitened",
    zh="点云的预处理：原始、零中心化、归一化、去相关、白化",
)
def clouds(points: int = 1000, *, seed: int = 0, quick: bool = False) -> Result:
    """Draw an oblong cloud far from the origin, prepare it in five ways, and measure each.

    Decorrelated are the coordinates along the principal axes; whitened, the same divided by their
    standard deviations. ZCA turns a whitened cloud back, so that it stays close to the given one.
    """
    points = min(points, 200) if quick else points
    rng = np.random.default_rng(seed)
    turn = np.radians(38)
    axes = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    x = rng.standard_normal((points, 2)) * [2.2, 0.6] @ axes + [5.0, 4.0]
    ways = {
        "centred": ZeroCenter(),
        "normalised": Standardize(),
        "decorrelated (PCA)": PCA(),
        "whitened (PCA)": PCAWhitening(eps=1e-10),
        "whitened (ZCA)": ZCAWhitening(eps=1e-10),
    }
    found = {"raw": x} | {name: way.fit(x)(x) for name, way in ways.items()}
    mean = {name: y.mean(axis=0) for name, y in found.items()}
    covariance = {name: np.cov(y.T, bias=True) for name, y in found.items()}
    moved = {
        name: float(np.sqrt(np.mean((found[name] - found["centred"]) ** 2)))
        for name in ("whitened (PCA)", "whitened (ZCA)")
    }

    def show(ax: Any, name: str, y: Any) -> None:
        ax.scatter(*y.T, s=4, c=x @ axes[1], cmap="viridis")
        ax.axhline(0, color="0.5", lw=0.6)
        ax.axvline(0, color="0.5", lw=0.6)
        ax.set(title=name, aspect="equal", xlim=(-8, 12), ylim=(-7, 10))

    def draw(figure: Any) -> None:
        for ax, (name, y) in zip(figure.subplots(2, 3).flat, found.items(), strict=True):
            show(ax, name, y)
            (a, b), (_, d) = covariance[name]
            entries = np.array([a, b, d]).round(2) + 0.0  # no -0.00
            text = "variances {0:.2f}, {2:.2f}; covariance {1:.2f}".format(*entries)
            ax.text(0.03, 0.04, text, transform=ax.transAxes, fontsize=8)

    steps = 12  # pictures from one cloud to the next

    def draw_picture(figure: Any, k: int) -> None:
        names = list(found)[:5]
        stage, part = divmod(k, steps)
        y, end = found[names[stage]], found[names[min(stage + 1, len(names) - 1)]]
        share = min(1.0, part / (steps - 4))  # then it rests
        show(figure.subplots(), names[min(stage + (share > 0), 4)], y + share * (end - y))

    numbers: dict[str, Any] = {}
    for name in found:
        (a, b), (_, d) = covariance[name]
        numbers[f"{name}: mean"] = "{:.2f}, {:.2f}".format(*(mean[name].round(2) + 0.0))
        numbers[f"{name}: variances"] = f"{a:.2f}, {d:.2f}"
        numbers[f"{name}: covariance"] = f"{round(b, 2) + 0.0:.2f}"
    numbers |= {
        f"{name}: root mean square distance from centred": value for name, value in moved.items()
    }
    unit = np.eye(2)
    return Result(
        numbers=numbers,
        see={
            "en": "Centred: the mean is 0, the shape is as before. Normalised: both variances are "
            "1, "
            "but the features still go together. Decorrelated: turned, so that the covariance is "
            "0. "
            "Whitened: a round cloud, whose covariance is the unit matrix. ZCA is the whitening "
            "that moves points least; images whitened by it still look like images.",
            "zh": "零中心化：均值为 0，形状不变。归一化：两个方差都为 1，但两个特征仍然相关。"
            "去相关：旋转到主轴上，协方差为 0。白化：点云变圆，协方差矩阵是单位矩阵。"
            "ZCA 是使点移动最少的白化，经它白化的图像看上去仍是图像。",
        },
        found=all(np.abs(mean[name]).max() < 1e-9 for name in ways)
        and bool(np.allclose(covariance["centred"], covariance["raw"]))
        and bool(np.allclose(np.diag(covariance["normalised"]), 1))
        and abs(covariance["normalised"][0, 1]) > 0.5
        and abs(covariance["decorrelated (PCA)"][0, 1]) < 1e-9
        and all(
            bool(np.allclose(covariance[f"whitened ({kind})"], unit)) for kind in ("PCA", "ZCA")
        )
        and moved["whitened (ZCA)"] < 0.9 * moved["whitened (PCA)"],
        draw=draw,
        size=(11.0, 6.5),
        movie=Movie(4 * steps + 4, draw_picture),
        data={"clouds": found, "means": mean, "covariances": covariance},
    )
