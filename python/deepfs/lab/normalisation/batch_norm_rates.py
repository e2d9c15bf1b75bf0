"""With batch norm a ten times larger learning rate still works."""

from __future__ import annotations

from typing import Any

import numpy as np

from deepfs import layers as L

from .._experiment import Result, experiment
from ._shared import classifier, digits, network, train

KINDS = {"with batch norm": L.BatchNorm, "without": None}


@experiment(
    en="Batch norm takes a ten times larger learning rate",
    zh="使用批归一化可以把学习率提高到十倍",
)
def batch_norm_rates(
    steps: int = 300, *, seed: int = 0, quick: bool = False, full: bool = False
) -> Result:
    """Train the same network with and without batch norm, over a range of learning rates.

    Behind a batch norm, the gradient is smaller by the factor by which the weights are larger. So a
    step that was too large makes the next ones smaller, where a plain network diverges.
    """
    (x, y), _ = digits(full)
    hidden, size = [100] * 5, 100
    rates, decade = np.logspace(-2, 1, 13), 4  # four to a decade
    if quick:
        hidden, size, steps = [40] * 3, 50, min(steps, 80)
        rates, decade = np.logspace(-1.5, 0.5, 5), 2
    losses = {
        kind: np.array(
            [
                train(classifier(network(hidden, norm), float(rate), seed), x, y, size, steps, seed)
                for rate in rates
            ]
        )
        for kind, norm in KINDS.items()
    }
    last = {kind: found[:, -steps // 8 :].mean(axis=1) for kind, found in losses.items()}
    plain, normed = last["without"], last["with batch norm"]
    k = int(np.nanargmin(plain[:-decade]))  # the best rate of the plain network
    high = k + decade  # ten times that

    def draw(figure: Any) -> None:
        left, right = figure.subplots(1, 2)
        window = max(1, steps // 20)
        for (kind, end), style in zip(last.items(), ["o-", "s--"], strict=True):
            left.semilogx(rates, np.where(end < 3, end, np.nan), style, label=kind)
            for i, pale in ((k, 0.5), (high, 1.0)):
                label = f"{kind}, rate {rates[i]:.2g}"
                color = left.lines[-1].get_color()
                smooth = np.convolve(losses[kind][i], np.ones(window) / window, "valid")
                at = np.arange(len(smooth)) + window
                right.plot(at, smooth, style[1:], color=color, alpha=pale, label=label)
        for i in (k, high):
            left.axvline(rates[i], color="k", ls=":", lw=0.8)
        left.set(
            xlabel="learning rate",
            ylabel=f"loss in the last {steps // 8} steps",
            ylim=(0, 2.6),
            title="by learning rate (no point: diverged)",
        )
        right.set(
            xlabel="training steps",
            ylabel="loss",
            ylim=(0, 3.3),
            title="at the best rate without, and ten times that",
        )
        left.legend(fontsize=8)
        right.legend(fontsize=8, ncols=2, loc="upper center")

    return Result(
        numbers={
            "best rate without": float(rates[k]),
            "loss at the best rate without, without": float(plain[k]),
            "loss at the best rate without, with batch norm": float(normed[k]),
            "loss at ten times that rate, without": (
                float(plain[high]) if np.isfinite(plain[high]) else "diverged"
            ),
            "loss at ten times that rate, with batch norm": float(normed[high]),
            "least loss, with batch norm": float(np.nanmin(normed)),
        },
        see={
            "en": f"The plain network is best at a rate of {rates[k]:.2g}, and learns nothing or "
            "diverges at ten times that (dotted lines). With batch norm ten times that rate still "
            f"learns, to a loss of {normed[high]:.2f}, beside {plain[k]:.2f} of the plain network "
            f"at its best. At its own best rate batch norm gets to {np.nanmin(normed):.2f} in the "
            "same number of steps.",
            "zh": f"普通网络的最佳学习率是 {rates[k]:.2g}，"
            "提高到十倍（虚线）时学不到东西或者发散。使用批归一化时，十倍的学习率仍能学习，损失为 "
            f"{normed[high]:.2f}，而普通网络最好时为 {plain[k]:.2f}。在自己的最佳学习率下，"
            f"使用批归一化的网络经过相同的步数可降到 {np.nanmin(normed):.2f}。",
        },
        found=bool(
            not plain[high] < 1.8
            and normed[high] < 1.5 * plain[k]
            and np.nanmin(normed) < 0.85 * plain[k]
        ),
        draw=draw,
        size=(9.0, 4.2),
        data={"rates": rates, "last": last, "losses": losses},
    )
