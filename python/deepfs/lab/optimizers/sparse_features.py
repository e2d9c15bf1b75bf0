"""Where AdaGrad helps: features that are rarely there."""

from __future__ import annotations

from typing import Any

import numpy as np

import deepfs as dfs

from .._experiment import Result, experiment

COMMON, RARE = 10, 30  # features
KINDS = {"SGD": dfs.optimizers.SGD, "AdaGrad": dfs.optimizers.AdaGrad}


@experiment(
    en="AdaGrad learns the weights of rare features sooner than SGD",
    zh="对稀疏特征，AdaGrad 比 SGD 更快学到权重",
)
def sparse_features(
    rare: float = 0.01, steps: int = 300, *, seed: int = 0, quick: bool = False
) -> Result:
    """Fit a linear model to features of 0 and 1, as words that a text has or has not.

    Ten features are in half of the samples, thirty in one of a hundred. SGD has one rate for all:
    common features limit it, and a rare one gets hardly a step. AdaGrad divides by the root of the
    squares that a weight has seen, so a rare feature's first steps are long. Each optimizer has
    the best rate of a grid.
    """
    rng = np.random.default_rng(seed)
    truth = rng.standard_normal(COMMON + RARE)
    rates = (0.16, 0.32, 0.64, 1.28) if quick else np.geomspace(0.02, 2.56, 15)

    def errors_of(optimizer: dfs.optimizers.Optimizer, x: Any) -> Any:
        """Return the squared error of each weight, after each step on ten samples."""
        params, errors = {"w": np.zeros(len(truth))}, [truth**2]
        for batch in np.split(x, steps):
            if not errors[-1].max() < 1e6:
                return np.full((steps + 1, len(truth)), np.inf)  # diverged
            residual = batch @ (params["w"] - truth)
            optimizer.update(params, {"w": batch.T @ residual / len(batch)})
            errors.append((params["w"] - truth) ** 2)
        return np.array(errors)

    best: dict[str, dict[str, Any]] = {}
    for data, share in (("sparse", rare), ("dense", 0.5)):
        shares = np.repeat([0.5, share], [COMMON, RARE])
        x = (rng.random((10 * steps, COMMON + RARE)) < shares).astype(np.float64)
        best[data] = {
            name: min((errors_of(kind(lr), x) for lr in rates), key=lambda e: e[-1].mean())
            for name, kind in KINDS.items()
        }
    last = {f"{d}, {name}": float(e[-1].mean()) for d in best for name, e in best[d].items()}

    def draw(figure: Any) -> None:
        axes = figure.subplots(1, 2, sharey=True)
        for ax, (data, runs) in zip(axes, best.items(), strict=True):
            for k, (name, errors) in enumerate(runs.items()):
                parts = {"": errors}
                if data == "sparse":
                    parts = {", rare": errors[:, COMMON:], ", common": errors[:, :COMMON]}
                for which, part in parts.items():
                    style = "--" if which == ", common" else "-"
                    ax.semilogy(part.mean(axis=1), style, color=f"C{k}", label=name + which)
            ax.set(xlabel="step", title=f"{data} features")
            ax.legend()
        axes[0].set(ylabel="squared error of the weights", ylim=(1e-12, 10))

    return Result(
        numbers={f"error of the weights, {name}": error for name, error in last.items()},
        see={
            "en": "On the left thirty of forty features are rare. SGD has not learned their "
            "weights (solid) when AdaGrad knows them, although both have their best rate. On the "
            "right all features are common: then AdaGrad has no advantage, and its shrinking "
            "steps are a loss.",
            "zh": "左图中四十个特征里有三十个是稀疏的。两者都用各自最好的学习率，AdaGrad 已学到这"
            "些权重（实线）时，SGD 还没有学到。右图中所有特征都常见：这时 AdaGrad 没有优势，它不断"
            "变小的步长反而是缺点。",
        },
        found=last["sparse, AdaGrad"] < last["sparse, SGD"] / 10
        and last["dense, SGD"] < last["dense, AdaGrad"],
        draw=draw,
        size=(10, 4.2),
        data=best,
    )
