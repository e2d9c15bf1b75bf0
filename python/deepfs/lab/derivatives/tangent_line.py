"""The tangent of a curve has the derivative as its slope, and secants turn into it."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._experiment import Result, experiment


def _curve(x: Any) -> Any:
    """Return the function of the textbook, section 4.3."""
    return 0.01 * x**2 + 0.1 * x


@experiment(
    en="The tangent of 0.01 x^2 + 0.1 x at 5 and 10: slopes 0.2 and 0.3",
    zh="0.01 x^2 + 0.1 x 在 x = 5 和 x = 10 处的切线：斜率为 0.2 和 0.3",
)
def tangent_line(
    points: tuple[float, ...] = (5.0, 10.0), *, seed: int = 0, quick: bool = False
) -> Result:
    """Draw the tangents at ``points``, by central differences, and measure their distance from it.

    The distance between curve and tangent is h² f''/2, that of a secant from the slope h f''/2.
    """
    h = 1e-4
    slopes = [float((_curve(x + h) - _curve(x - h)) / (2 * h)) for x in points]
    at, slope = points[0], slopes[0]
    steps = 8.0 / 2 ** np.arange(6 if quick else 10)
    gaps = _curve(at + steps) - (_curve(at) + slope * steps)
    secants = (_curve(at + steps) - _curve(at)) / steps

    def draw(figure: Any) -> None:
        left, right = figure.subplots(1, 2)
        x = np.linspace(0, 20, 201)
        for ax in (left, right):
            ax.plot(x, _curve(x), "k", label="0.01 x² + 0.1 x")
        for number, (point, angle) in enumerate(zip(points, slopes, strict=True)):
            color = f"C{number}"
            line = _curve(point) + angle * (x - point)
            left.plot(x, line, color=color, label=f"tangent at {point:g}: slope {angle:.3g}")
            left.plot(point, _curve(point), "o", color=color)
        right.plot(x, _curve(at) + slope * (x - at), color="C0", label=f"tangent at {at:g}")
        for number, (step, angle) in enumerate(zip(steps[:3], secants[:3], strict=True)):
            line = _curve(at) + angle * (x - at)
            label = f"secant, h = {step:g}: slope {angle:.3g}"
            right.plot(x, line, "--", color=f"C{number + 1}", label=label)
            right.plot(at + step, _curve(at + step), "o", color=f"C{number + 1}")
        left.set(xlabel="x", ylabel="f(x)", ylim=(-1, 6), title="Tangents")
        right.set(xlabel="x", ylim=(-1, 6), title="Secants turn into the tangent")
        left.legend()
        right.legend()

    return Result(
        numbers={
            **{f"slope at {x:g}": angle for x, angle in zip(points, slopes, strict=True)},
            **{
                f"distance from the tangent, h = {step:g}": float(gap)
                for step, gap in zip(steps[:3], gaps[:3], strict=True)
            },
            **{
                f"slope of the secant, h = {step:g}": float(angle)
                for step, angle in zip(steps[:3], secants[:3], strict=True)
            },
        },
        see={
            "en": "The tangent touches the curve and has its slope at that point. Half the step h "
            "makes the distance between curve and tangent a quarter, so close by a line takes the "
            "place of the curve: this is what gradient descent relies on. A secant's slope is "
            "wrong by h f''/2, half as much for half the step.",
            "zh": "切线与曲线相切，斜率等于该点的导数。步长 h 减半，曲线与切线的距离降为四分之一，"
            "所以在附近可以用直线代替曲线，梯度下降正是以此为依据。"
            "割线斜率的误差是 h f''/2，步长减半，误差也减半。",
        },
        found=bool(
            np.allclose(slopes, [0.02 * x + 0.1 for x in points], rtol=1e-8)
            and np.allclose(gaps[:-1] / gaps[1:], 4, rtol=1e-6)
            and np.allclose((secants - slope)[:-1] / (secants - slope)[1:], 2, rtol=1e-6)
        ),
        draw=draw,
        size=(10.0, 4.4),
        data={"steps": steps, "distances": gaps, "secants": secants, "slopes": slopes},
    )
