"""The textbook's long bowl, and the path of an optimizer on any function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from deepfs.layers import Array
from deepfs.optimizers import Optimizer


def bowl(x: Any, y: Any) -> Any:
    """Return x^2/20 + y^2: 20 times as steep in y as in x. Its minimum is at (0, 0)."""
    return x**2 / 20 + y**2


def bowl_gradient(w: Array) -> Array:
    """Return its gradient at a point, or at points that are the rows of an array."""
    return w * [0.1, 2.0]


def path(
    optimizer: Optimizer,
    gradient: Callable[[Array], Array],
    start: Any,
    steps: int,
) -> Array:
    """Return the points that an optimizer visits, (steps + 1, n), the start included."""
    params = {"w": np.array(start, np.float64)}
    points = [params["w"].copy()]
    for _ in range(steps):
        optimizer.update(params, {"w": gradient(params["w"])})
        points.append(params["w"].copy())
    return np.array(points)


def sign_changes(values: Array, least: float = 0.01) -> int:
    """Return how often the sign changes along a sequence; values below ``least`` do not count."""
    signs = np.sign(values[np.abs(values) >= least])
    return int((signs[1:] != signs[:-1]).sum())


def draw_contours(
    ax: Any, function: Callable[[Any, Any], Any], levels: Any, box: tuple[float, ...]
) -> None:
    """Draw the contours of a function of two variables; ``box`` is (x0, x1, y0, y1)."""
    x0, x1, y0, y1 = box
    x, y = np.meshgrid(np.linspace(x0, x1, 121), np.linspace(y0, y1, 121))
    ax.contour(x, y, function(x, y), levels=levels, colors="0.75", linewidths=0.7, zorder=0)
    ax.set(xlim=(x0, x1), ylim=(y0, y1), xlabel="x", ylabel="y")


def label_log_axis(axis: Any) -> None:
    """Label a logarithmic axis by plain numbers: 1, 2, 5, 10, or 1, 10, 100 if it is long."""
    low, high = axis.get_view_interval()
    parts = (1, 2, 5) if high < 1000 * low else (1,)
    ticks = [m * 10.0**e for e in range(-9, 9) for m in parts if low <= m * 10.0**e <= high]
    axis.set_ticks(ticks, [f"{tick:g}" for tick in ticks])
    axis.set_ticks([], minor=True)
