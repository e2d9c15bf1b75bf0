"""Where Nesterov momentum takes its gradient: at the point to which the velocity leads."""

from __future__ import annotations

from typing import Any

import numpy as np

import deepfs as dfs

from .._experiment import Result, experiment
from ._shared import bowl, bowl_gradient, draw_contours, path, sign_changes

START = (-7.0, 2.0)


@experiment(
    en="Nesterov's look-ahead: the gradient where the velocity leads to",
    zh="Nesterov 的前瞻：在速度所指向的点上求梯度",
)
def nesterov_look_ahead(
    lr: float = 0.1, momentum: float = 0.9, at: int = 3, steps: int = 40,
    *, seed: int = 0, quick: bool = False,
) -> Result:  # fmt: skip
    """Draw one step of Momentum and of Nesterov from the same point; then follow both.

    Momentum:  v = a v - lr g(w),  w = w + v.
    Nesterov:  v = a v - lr g(w + a v),  w = w + v.

    `deepfs.optimizers.Nesterov` keeps w + a v, where the gradient is taken, as its weights
    (Sutskever et al. 2013), so that a network need not be moved there and back.
    """
    plain = path(dfs.optimizers.Momentum(lr, momentum), bowl_gradient, START, steps)
    ahead = path(dfs.optimizers.Nesterov(lr, momentum), bowl_gradient, START, steps)
    w, v, two_points = np.array(START), np.zeros(2), [np.array(START)]
    for _ in range(steps):
        v = momentum * v - lr * bowl_gradient(w + momentum * v)
        w = w + v
        two_points.append(w + momentum * v)
    difference = float(np.abs(ahead - two_points).max())
    swings = {name: sign_changes(p[:, 1]) for name, p in (("Momentum", plain), ("Nesterov", ahead))}
    late = {"Momentum": np.abs(plain[20:, 1]).max(), "Nesterov": np.abs(ahead[20:, 1]).max()}

    def draw(figure: Any) -> None:
        left, right = figure.subplots(1, 2)
        w, there = plain[at], plain[at] + momentum * (plain[at] - plain[at - 1])
        ends = {"Momentum": there - lr * bowl_gradient(w)}
        ends["Nesterov"] = there - lr * bowl_gradient(there)
        (x0, y0), (x1, y1) = (side((w, there, *ends.values()), axis=0) for side in (np.min, np.max))
        wide, high = 0.4 * (x1 - x0), 0.2 * (y1 - y0)
        draw_contours(
            left, bowl, np.arange(1, 8, 0.05), (x0 - wide, x1 + wide, y0 - high, y1 + 2.5 * high)
        )
        left.axhline(0, color="k", lw=0.6)

        def arrow(start: Any, end: Any, colour: str, label: str = "", style: str = "-") -> None:
            how = {"arrowstyle": "->", "color": colour, "lw": 1.8, "linestyle": style}
            left.annotate("", end, start, arrowprops={**how, "shrinkA": 0, "shrinkB": 0})
            left.plot([], [], style, color=colour, label=label)

        arrow(w, there, "0.4", "velocity a v, to the look-ahead point")
        arrow(there, ends["Nesterov"], "C1", "Nesterov: -lr gradient there")
        arrow(there, ends["Momentum"], "C0", "Momentum: -lr gradient at w", "--")
        left.plot(*w, "ko", ms=5)
        left.plot(*there, "o", color="C1", ms=5)
        left.annotate("w", w, (-12, 4), textcoords="offset points")
        left.set_title(f"step {at + 1} from the same w and v; the line is the valley floor")
        left.legend(fontsize=8)
        for name, points in (("Momentum", plain), ("Nesterov", ahead)):
            right.plot(points[:, 1], ".-", lw=1, ms=4, label=name)
        right.axhline(0, color="k", lw=0.6)
        right.set(xlabel="step", ylabel="y", title="y on the way from (-7, 2)")
        right.legend()

    return Result(
        numbers={
            "largest difference of the two forms": difference,
            **{f"sign changes of y, {name}": count for name, count in swings.items()},
            **{f"largest |y| from step 20 on, {name}": float(y) for name, y in late.items()},
        },
        see={
            "en": "The velocity carries w across the valley in any case. At the look-ahead point "
            "the gradient already points back, so Nesterov brakes one step earlier than Momentum, "
            "whose gradient still pushes on: its swings die out while Momentum's go on.",
            "zh": "无论如何，速度都会把 w 带过谷底。在前瞻点上，梯度已经指回谷底，因此 Nesterov 比"
            " Momentum 早一步减速；Momentum 的梯度此时仍在向前推。所以 Nesterov 的摆动很快消失，而"
            " Momentum 仍在摆动。",
        },
        found=bool(
            difference < 1e-12
            and late["Nesterov"] < late["Momentum"] / 5
            and swings["Nesterov"] < swings["Momentum"]
        ),
        draw=draw,
        size=(11, 4.5),
        data={"Momentum": plain, "Nesterov": ahead, "two points": np.array(two_points)},
    )
