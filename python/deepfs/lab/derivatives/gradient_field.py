"""The gradient of a function of two variables, drawn as arrows."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._experiment import Result, experiment
from ._shared import bowl, numerical_gradient


def _angles(points: Any, arrows: Any) -> Any:
    """Return the angles in degrees between arrows and the way to the minimum, (0, 0)."""
    lengths = np.linalg.norm(points, axis=-1) * np.linalg.norm(arrows, axis=-1)
    return np.degrees(np.arccos(np.clip((-points * arrows).sum(axis=-1) / lengths, -1, 1)))


@experiment(
    en="The bowl x0^2 + x1^2 and its gradient field; a valley, whose gradient misses the minimum",
    zh="碗形函数 x0^2 + x1^2 及其梯度场；狭长谷地的梯度并不指向最小值",
)
def gradient_field(stretch: float = 20.0, *, seed: int = 0, quick: bool = False) -> Result:
    """Draw negative gradients of the bowl and of the valley x0^2 / ``stretch`` + x1^2.

    They are computed by central differences on a grid of 16 x 16 points.
    """

    def valley(x: Any) -> Any:
        return x[..., 0] ** 2 / stretch + x[..., 1] ** 2

    ticks = np.linspace(
        -3, 3, 16
    )  # an even number: the minimum, where there is no way, is left out
    points = np.stack(np.meshgrid(ticks, ticks), axis=-1)
    arrows = {
        name: -numerical_gradient(f, points) for name, f in (("bowl", bowl), ("valley", valley))
    }
    angles = {name: _angles(points, arrow) for name, arrow in arrows.items()}
    distance = np.linalg.norm(points, axis=-1)
    length = np.linalg.norm(arrows["bowl"], axis=-1)

    def draw(figure: Any) -> None:
        surface = figure.add_subplot(1, 3, 1, projection="3d", box_aspect=(1, 1, 0.7))
        fine = np.linspace(-3, 3, 41)
        mesh = np.stack(np.meshgrid(fine, fine), axis=-1)
        surface.plot_surface(mesh[..., 0], mesh[..., 1], bowl(mesh), cmap="viridis")
        surface.set(xlabel="x0", ylabel="x1", title="x0² + x1²")
        for place, (name, f) in enumerate((("bowl", bowl), ("valley", valley)), start=2):
            ax = figure.add_subplot(1, 3, place)
            ax.contour(fine, fine, f(mesh), 8, colors="lightgray")
            ax.quiver(*np.moveaxis(points, -1, 0), *np.moveaxis(arrows[name], -1, 0), color="C0")
            ax.plot(0, 0, "r+", ms=12, label="minimum")
            ax.set(xlabel="x0", ylabel="x1", aspect="equal")
            ax.set_title(f"-gradient, {name}: off by {angles[name].max():.0f}° at most")
            ax.legend(loc="upper right", fontsize=8)

    return Result(
        numbers={
            "length of the gradient over distance, bowl": float((length / distance).mean()),
            "largest angle to the minimum, bowl, degrees": float(angles["bowl"].max()),
            f"largest angle to the minimum, valley 1:{stretch:g}, degrees": float(
                angles["valley"].max()
            ),
            "mean angle to the minimum, valley, degrees": float(angles["valley"].mean()),
        },
        see={
            "en": "An arrow shows where the function falls most, at a right angle to the contour "
            "line, and is longer where it is steeper. In the round bowl all arrows point to the "
            "minimum. In the valley they point across it, up to "
            f"{angles['valley'].max():.0f} degrees off: the gradient knows the slope at its point "
            "only, which is why gradient descent zigzags.",
            "zh": "箭头指向函数值下降最快的方向，与等高线垂直；坡越陡箭头越长。"
            "在圆碗中，所有箭头都指向最小值；在狭长谷地中箭头横穿谷底，"
            f"最多偏离 {angles['valley'].max():.0f} 度："
            "梯度只反映当前点的坡度，所以梯度下降会走之字形。",
        },
        found=bool(
            angles["bowl"].max() < 0.01
            and np.allclose(length, 2 * distance, rtol=1e-7)
            and angles["valley"].max() > 45
        ),
        draw=draw,
        size=(13.0, 4.6),
        data={"points": points, "arrows": arrows, "angles": angles},
    )
