"""Filters that answer to edges: some made by hand, others found by training."""

from __future__ import annotations

from typing import Any

import numpy as np

import deepfs as dfs
from deepfs import layers as L

from .._experiment import Result, experiment

FILTERS = {
    "horizontal edges": [[1, 2, 1], [0, 0, 0], [-1, -2, -1]],
    "vertical edges": [[1, 0, -1], [2, 0, -2], [1, 0, -1]],
    "all edges": [[0, 1, 0], [1, -4, 1], [0, 1, 0]],
    "blur": [[1 / 9] * 3] * 3,
}


@experiment(
    en="Edge filters applied: what filters made by hand and learned ones answer to",
    zh="边缘滤波器：手工设计的滤波器与学到的滤波器各自响应什么",
)
def edge_filters(*, seed: int = 0, quick: bool = False) -> Result:
    """Apply Sobel's filters, Laplace's and the first layer of a trained network to a picture.

    How much a filter prefers one kind of edges is (v - h) / (v + h), from -1 to 1: v and h are its
    mean absolute answers along the vertical and the horizontal sides of a square.
    """
    image = picture()
    answers = dict(zip(FILTERS, apply(image, np.array(list(FILTERS.values()))), strict=True))
    learned = dfs.networks.pretrained().get_weights()["conv2d_1.weight"][:, 0]
    maps = apply(image, learned - learned.mean(axis=(1, 2), keepdims=True))  # flat areas give 0

    by_hand = {name: preference(answer) for name, answer in answers.items()}
    of_learned = np.array([preference(answer) for answer in maps])
    order = of_learned.argsort()
    shown = {f"learned, {of_learned[i]:+.2f}": maps[i] for i in (*order[:2], *order[-2:])}

    def draw(figure: Any) -> None:
        axes = figure.subplots(2, 5)
        top = [("picture", image)] + [
            (f"{name}, {by_hand[name]:+.2f}", answer) for name, answer in answers.items()
        ]
        gap = np.full((3, 1), np.nan)
        weights = np.concatenate([learned[order[0]], gap, learned[order[-1]]], axis=1)
        bottom = [("learned, first and last", weights), *shown.items()]
        for ax, (title, values) in zip(axes.flat, [*top, *bottom], strict=True):
            limit = np.nanmax(abs(values))
            grey = title in ("picture", "blur, +0.00")
            colours = {"cmap": "gray"} if grey else {"cmap": "RdBu_r", "vmin": -limit}
            ax.imshow(values, vmax=limit, **colours)
            ax.set(xticks=[], yticks=[])
            ax.set_title(title, fontsize=9)
        figure.suptitle("answers: red positive, blue negative; the number: + vertical edges, "
                        "- horizontal ones", fontsize=10)  # fmt: skip

    return Result(
        numbers={
            "preference of the horizontal filter": by_hand["horizontal edges"],
            "preference of the vertical filter": by_hand["vertical edges"],
            "preference of Laplace's filter": by_hand["all edges"],
            "learned filters": len(learned),
            "lowest preference of a learned filter": float(of_learned.min()),
            "highest preference of a learned filter": float(of_learned.max()),
        },
        see={
            "en": "A filter answers where the picture looks as it does itself: Sobel's filters to "
            "one direction of edges each, Laplace's to all, and none to a flat area. Nobody told "
            "the trained network about edges, and yet some of its 16 filters answer almost only "
            "to horizontal edges, others to vertical ones.",
            "zh": "图像的局部与滤波器自身相像时，响应就大：Sobel 滤波器各响应一个方向的边缘，"
            "Laplace 滤波器响应所有边缘，平坦区域没有响应。没有人教过训练好的网络什么是边缘，"
            "但它的 16 个滤波器中，有的几乎只响应水平边缘，有的几乎只响应垂直边缘。",
        },
        found=bool(
            by_hand["horizontal edges"] < -0.99
            and by_hand["vertical edges"] > 0.99
            and abs(by_hand["all edges"]) < 0.01
            and of_learned.min() < -0.3
            and of_learned.max() > 0.3
        ),
        draw=draw,
        size=(10.0, 4.6),
        data={"image": image, "answers": answers, "of_learned": of_learned},
    )


def picture() -> Any:
    """Return a picture of 32x32 pixels: a square and a disc."""
    y, x = np.mgrid[:32, :32]
    square = (x >= 4) & (x < 14) & (y >= 4) & (y < 14)
    disc = (x - 21) ** 2 + (y - 21) ** 2 < 64
    return (square | disc).astype(float)


def apply(image: Any, filters: Any) -> Any:
    """Return the answer of each filter, an image each."""
    conv = L.Conv2D(len(filters), 3, padding=1, bias=False)
    conv.build((1, *image.shape), "float64")
    conv.set_weights({"weight": filters[:, None]})
    return conv(image[None, None])[0]


def preference(answer: Any) -> float:
    """Return (v - h) / (v + h) along the sides of the square, away from its corners."""
    v = abs(answer[7:11, [3, 4, 13, 14]]).mean()
    h = abs(answer[[3, 4, 13, 14], 7:11]).mean()
    return float((v - h) / (v + h))
