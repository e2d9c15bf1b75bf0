"""Partial derivatives: one variable moves, the other is held."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._experiment import Result, experiment
from ._shared import bowl, numerical_gradient


@experiment(
    en="Partial derivatives of x0^2 + x1^2 at (3, 4): 6 and 8",
    zh="x0^2 + x1^2 在 (3, 4) 处的偏导数：6 和 8",
)
def partial_derivatives(
    x0: float = 3.0, x1: float = 4.0, *, seed: int = 0, quick: bool = False
) -> Result:
    """Differentiate along each axis by central differences, and compare with 2 x0 and 2 x1.

    A derivative along any other direction is the sum of the two, weighted by the direction's parts.
    """
    point = np.array([x0, x1])
    gradient = numerical_gradient(bowl, point)
    h = 1e-4
    angles = np.linspace(0, 2 * np.pi, 25 if quick else 361)
    directions = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    along = (bowl(point + h * directions) - bowl(point - h * directions)) / (2 * h)
    error = float(np.abs(along - directions @ gradient).max())

    def draw(figure: Any) -> None:
        panels = figure.subplots(1, 3)
        t = np.linspace(-6, 6, 121)
        for axis, ax in enumerate(panels[:2]):
            points = np.tile(point, (len(t), 1))
            points[:, axis] = t
            ax.plot(t, bowl(points), label=f"x{1 - axis} held at {point[1 - axis]:g}")
            tangent = bowl(point) + gradient[axis] * (t - point[axis])
            ax.plot(t, tangent, "--", label=f"slope {gradient[axis]:.4g}")
            ax.plot(point[axis], bowl(point), "ko")
            ax.set(xlabel=f"x{axis}", ylim=(0, 70), title=f"Partial derivative by x{axis}")
            ax.legend(loc="upper left")
        panels[0].set_ylabel("x0² + x1²")
        panels[2].plot(np.degrees(angles), along)
        for degrees, value, name in ((0, gradient[0], "by x0"), (90, gradient[1], "by x1")):
            panels[2].plot(degrees, value, "o", label=f"{name}: {value:.4g}")
        panels[2].set(xlabel="direction, degrees from the x0 axis", title="Along any direction")
        panels[2].set_xticks(np.arange(0, 361, 90))
        panels[2].legend()

    steepest = float(np.degrees(angles[along.argmax()]))
    return Result(
        numbers={
            "partial derivative by x0": float(gradient[0]),
            "partial derivative by x1": float(gradient[1]),
            "length of the gradient": float(np.hypot(*gradient)),
            "largest derivative along a direction": float(along.max()),
            "its direction, degrees": steepest,
            "direction of the gradient, degrees": float(np.degrees(np.arctan2(*gradient[::-1]))),
        },
        see={
            "en": "Each partial derivative is the slope of a section through the bowl, along one "
            "axis. The derivative along any direction d is their sum weighted by the parts of d; "
            "it is largest along the gradient, where it is the gradient's length.",
            "zh": "每个偏导数是沿一条坐标轴的截线的斜率，此时另一个变量保持不变。"
            "沿任意方向的导数是两者以方向分量为权的和；沿梯度方向最大，等于梯度的长度。",
        },
        found=bool(
            np.allclose(gradient, 2 * point, rtol=1e-8, atol=1e-8)
            and error < 1e-7
            and 0.96 * np.hypot(*gradient) < along.max() < 1.0001 * np.hypot(*gradient)
        ),
        draw=draw,
        size=(12.0, 4.0),
        data={"gradient": gradient, "angles": angles, "along": along},
    )
