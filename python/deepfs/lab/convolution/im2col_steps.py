"""im2col step by step: windows become rows, and the convolution a matrix product."""

from __future__ import annotations

from typing import Any

import numpy as np

import deepfs as dfs
from deepfs import layers as L

from .._experiment import Movie, Result, experiment

IMAGE = np.array([[1, 2, 3, 0], [0, 1, 2, 3], [3, 0, 1, 2], [2, 3, 0, 1]], float)
FILTER = np.array([[2, 0, 1], [0, 1, 2], [1, 0, 2]], float)


@experiment(
    en="im2col step by step on a 4x4 image: a convolution as a matrix product",
    zh="在 4x4 图像上逐步演示 im2col：把卷积变成矩阵乘法",
)
def im2col_steps(*, seed: int = 0, quick: bool = False) -> Result:
    """Convolve the 4x4 image of the textbook's chapter 7 by its 3x3 filter, through a matrix."""
    x = IMAGE[None, None]
    columns = dfs.im2col(x, 3)  # a row for each of 4 windows
    y = columns @ FILTER.reshape(-1)

    conv = L.Conv2D(1, 3, bias=False)
    conv.build((1, 4, 4), "float64")
    conv.set_weights({"weight": FILTER[None, None]})
    layer = conv(x).reshape(-1)

    copies = dfs.col2im(np.ones_like(columns), x.shape, 3)[0, 0]  # windows that hold each pixel

    def draw(figure: Any, k: int = len(y) - 1) -> None:
        """Draw the state after window k; the last one shows all."""
        image, weights, matrix, output = figure.subplots(
            1, 4, width_ratios=[4, 3, 9, 2], gridspec_kw={"wspace": 0.1}
        )
        i, j = divmod(k, 2)
        rows = np.where(np.arange(len(y))[:, None] <= k, columns, np.nan)
        results = np.where(np.arange(len(y)) <= k, y, np.nan)
        table(image, IMAGE, "image 4x4", (i, j, 3, 3))
        table(weights, FILTER, "filter 3x3", None)
        table(matrix, rows, "columns: a row for each window, 4x9", (k, 0, 1, 9))
        table(output, results.reshape(2, 2), "output 2x2", (i, j, 1, 1))
        figure.suptitle(f"window {k + 1} of 4: its row times the filter = {y[k]:g}")

    return Result(
        numbers={
            "pixels of the image": IMAGE.size,
            "numbers in the matrix of columns": columns.size,
            "copies of a corner pixel": int(copies[0, 0]),
            "copies of an inner pixel": int(copies[1, 1]),
            "output": " ".join(f"{value:g}" for value in y),
            "largest difference from Conv2D": float(abs(y - layer).max()),
        },
        see={
            "en": "The filter stands on 4 places. The 9 pixels under it are copied to a row each "
            "time, so the convolution is one matrix product, (4, 9) times (9,), for which fast "
            "routines exist. The price is memory: 16 pixels become 36 numbers, because an inner "
            "pixel lies in all 4 windows.",
            "zh": "滤波器依次落在 4 个位置，每次把它覆盖的 9 个像素展开成一行，"
            "于是卷积变成一次矩阵乘法：(4, 9) 乘 (9,)，可以用高速的矩阵运算完成。"
            "代价是内存：内部的像素同时属于 4 个窗口，16 个像素变成了 36 个数。",
        },
        found=bool(
            columns.shape == (4, 9)
            and (y == [15, 16, 6, 15]).all()
            and abs(y - layer).max() < 1e-12
            and copies.sum() == columns.size
        ),
        draw=draw,
        size=(10.0, 3.2),
        movie=Movie(len(y), draw, per_second=1),
        data={"columns": columns, "y": y, "layer": layer, "copies": copies},
    )


def table(ax: Any, values: Any, title: str, window: tuple[int, int, int, int] | None) -> None:
    """Draw numbers in cells, with a frame around a window: row, column, height, width."""
    ax.imshow(np.zeros(values.shape), cmap="Greys", vmin=0, vmax=1)
    ax.set_title(title, fontsize=10)
    ax.set(xticks=np.arange(0.5, values.shape[1] - 1), yticks=np.arange(0.5, values.shape[0] - 1))
    ax.grid(color="lightgrey")
    ax.tick_params(length=0, labelbottom=False, labelleft=False)
    for (i, j), value in np.ndenumerate(values):
        if np.isfinite(value):
            ax.text(j, i, f"{value:g}", ha="center", va="center")
    if window is not None:
        i, j, height, width = window
        left, right, top, bottom = j - 0.5, j + width - 0.5, i - 0.5, i + height - 0.5
        ax.plot(
            [left, right, right, left, left], [top, top, bottom, bottom, top], "C3", lw=2.5,
            clip_on=False,
        )  # fmt: skip
