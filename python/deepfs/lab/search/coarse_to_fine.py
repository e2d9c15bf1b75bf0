"""Random search in rounds: each round draws from narrower ranges, and trains longer."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._experiment import Result, experiment
from ._shared import accuracy, digits, small_model, train

AXES = ("learning rate", "weight decay")


def narrowed(points: Any, scores: Any, ranges: Any, keep: int) -> Any:
    """Return the ranges (2, 2) of the ``keep`` best points, with a margin.

    The margin is a tenth of the range before, at either side. So a best value near a border moves
    the range beyond it: better values may lie there.
    """
    best = points[np.argsort(-scores, kind="stable")[:keep]]
    margin = 0.1 * np.diff(ranges, axis=1)
    return np.stack([best.min(axis=0), best.max(axis=0)], axis=1) + margin * [-1, 1]


@experiment(
    en="From coarse to fine: each round narrows the ranges around the best trials",
    zh="由粗到细：每一轮都把范围缩小到最好的几次试验附近",
)
def coarse_to_fine(
    trials: int = 24,
    rounds: int = 3,
    keep: int = 4,
    *,
    seed: int = 0,
    quick: bool = False,
    full: bool = False,
) -> Result:
    """Draw rate and decay at random on logarithmic scales, keep the best few, and draw again.

    Round 1 trains for one epoch, each later round for twice as many as the one before: what fails,
    fails early. Sources: the textbook, section 6.5; CS231n, "Neural networks part 3",
    hyper-parameter optimization.
    """
    images, trials = (300, min(trials, 12)) if quick else (3000, trials)
    data, validation, _ = digits(images, full)
    rng = np.random.default_rng(seed)
    first = ranges = np.array([[-5.0, 1.0], [-6.0, 0.0]])  # powers of ten, of rate and decay

    def tried(ranges: Any, epochs: int) -> tuple[Any, Any]:
        """Return points of the ranges, and the validation accuracy of each."""
        low, high = ranges.T
        points, scores = rng.uniform(low, high, (trials, 2)), np.empty(trials)
        for k, (rate, decay) in enumerate(10**points):
            model = small_model(rate, decay, seed)
            train(model, data, epochs)
            scores[k] = accuracy(model, validation)
        return points, scores

    log: list[dict[str, Any]] = []
    for number in range(rounds):
        points, scores = tried(ranges, epochs=2**number)
        after = narrowed(points, scores, ranges, keep)
        log.append({"ranges": ranges, "points": points, "scores": scores, "next": after})
        ranges = after
    _, unnarrowed = tried(first, epochs=2 ** (rounds - 1))  # as long as the last round
    widths = np.array([np.ptp(one["ranges"], axis=1) for one in log])
    median = [float(np.median(one["scores"])) for one in log]
    best = [float(one["scores"].max()) for one in log]
    chosen = 10 ** log[-1]["points"][log[-1]["scores"].argmax()]

    def draw(figure: Any) -> None:
        from matplotlib.patches import Rectangle

        axes = figure.subplots(1, rounds, squeeze=False, sharex=True, sharey=True)[0]
        for number, (ax, one) in enumerate(zip(axes, log, strict=True), 1):
            shown = ax.scatter(*one["points"].T, c=one["scores"], vmin=0, vmax=1, zorder=3,
                               cmap="viridis", edgecolors="k", linewidths=0.5)  # fmt: skip
            for box, color in ((one["ranges"], "C0"), (one["next"], "C3")):
                low, size = box[:, 0], np.ptp(box, axis=1)
                ax.add_patch(Rectangle(low, *size, fill=False, ec=color, lw=1.5))
            epochs = "1 epoch" if number == 1 else f"{2 ** (number - 1)} epochs"
            ax.set(title=f"round {number}, {epochs}: median {median[number - 1]:.2f}")
            ax.set(xlabel=f"log10 of the {AXES[0]}")
        axes[0].set_ylabel(f"log10 of the {AXES[1]}")
        for color, label in (("C0", "ranges of the round"), ("C3", "ranges of the next one")):
            axes[-1].plot([], [], color=color, label=label)
        axes[-1].legend(loc="lower left", fontsize=8)
        figure.colorbar(shown, ax=axes, label="validation accuracy")

    numbers: dict[str, Any] = {}
    for k, one in enumerate(log):
        for axis, (low, high) in zip(AXES, one["ranges"], strict=True):
            numbers[f"round {k + 1}, {axis}"] = f"{10**low:.2g} to {10**high:.2g}"
        numbers |= {f"round {k + 1}, median accuracy": median[k]}
        numbers |= {f"round {k + 1}, best accuracy": best[k]}
    numbers["median without narrowing, trained as long"] = float(np.median(unnarrowed))
    numbers |= dict(zip((f"best {axis}" for axis in AXES), map(float, chosen), strict=True))
    return Result(
        numbers=numbers,
        see={
            "en": "The first round trains for one epoch only: enough to see where nothing is "
            f"learned. Half of its trials stay below {median[0]:.0%}. The red frame around its "
            f"{keep} best is where the next round draws, and trains twice as long. In the last "
            f"round half exceed {median[-1]:.0%}; from the first ranges, trained as long, half "
            f"stay below {np.median(unnarrowed):.0%}. A best trial near a border moves the frame "
            "outwards. The rate is soon known; of the decay only that it must not be large.",
            "zh": "第一轮只训练一个 epoch，足以看出哪里学不到东西：有一半试验的精度低于 "
            f"{median[0]:.0%}。红框围住其中最好的 {keep} 次，下一轮在红框内选取，训练时间加倍。"
            f"最后一轮有一半超过 {median[-1]:.0%}；而在最初的范围内选取、训练同样长，则有一半低于 "
            f"{np.median(unnarrowed):.0%}。最好的试验靠近边界时，框会向外移动。学习率很快就能"
            "确定；权值衰减则只知道不能太大。",
        },
        found=bool(widths[-1, 0] < 0.5 * widths[0, 0])
        and best[-1] > best[0]
        and median[-1] > 1.3 * float(np.median(unnarrowed)),
        draw=draw,
        size=(12.0, 4.5),
        data={
            "log": log,
            "widths": widths,
            "median": median,
            "best": best,
            "unnarrowed": unnarrowed,
        },
    )
