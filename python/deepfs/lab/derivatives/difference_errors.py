"""The error of numerical derivatives over the step h: rounding left, truncation right, a V."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._experiment import Result, experiment


@experiment(
    en="Error of forward and central differences over h: the V",
    zh="前向差分与中心差分的误差随 h 的变化：V 形曲线",
)
def difference_errors(x: float = 1.0, *, seed: int = 0, quick: bool = False) -> Result:
    """Differentiate the exponential function at ``x`` by both formulas, for h from 1e-15 to 1.

    A forward difference errs by h f''/2, a central one by h² f'''/6; both by about eps f/h, since
    f(x) is rounded. So the best steps are near eps^(1/2) and eps^(1/3).
    """
    h = np.logspace(-15, 0, 46 if quick else 301)
    exact = np.exp(x)
    errors = {
        "forward": np.abs((np.exp(x + h) - np.exp(x)) / h - exact),
        "central": np.abs((np.exp(x + h) - np.exp(x - h)) / (2 * h) - exact),
    }
    best = {kind: h[error.argmin()] for kind, error in errors.items()}
    least = {kind: error.min() for kind, error in errors.items()}

    def draw(figure: Any) -> None:
        ax = figure.subplots()
        for kind, error in errors.items():
            ax.loglog(h, np.maximum(error, 1e-17), label=f"{kind} difference")
        ax.loglog(h, h * exact / 2, "k:", lw=0.8, label="h f''/2 and h² f'''/6")
        ax.loglog(h, h**2 * exact / 6, "k:", lw=0.8)
        ax.set(
            xlabel="h", ylabel="absolute error", ylim=(1e-13, 10), title=f"d/dx exp(x) at x = {x:g}"
        )
        ax.legend()

    return Result(
        numbers={
            "best h, forward difference": float(best["forward"]),
            "best h, central difference": float(best["central"]),
            "least error, forward": float(least["forward"]),
            "least error, central": float(least["central"]),
        },
        see={
            "en": "A smaller step is not a better one: below the best h the rounding of f(x) is "
            "divided by h. Central differences are better by orders of magnitude, and their best "
            "step is larger.",
            "zh": "步长并非越小越好：h 小于最佳值后，f(x) 的舍入误差被 h 放大。"
            "中心差分的误差小几个数量级，而且最佳步长更大。",
        },
        found=bool(
            least["central"] < least["forward"] / 10
            and best["forward"] < best["central"] / 10
            and all(error[0] > 100 * error.min() < error[-1] for error in errors.values())
        ),
        draw=draw,
        data={"h": h, **errors},
    )
