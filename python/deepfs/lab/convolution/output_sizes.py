"""How stride and padding set the size of the output, and when pixels are left over."""

from __future__ import annotations

import itertools
from typing import Any

from deepfs import layers as L

from .._experiment import Result, experiment

CASES = [  # size of the image, window, padding, stride
    (7, 3, 0, 1),
    (7, 3, 0, 2),
    (7, 3, 0, 3),
    (7, 3, 1, 1),
    (7, 5, 2, 2),
]


@experiment(
    en="Output sizes: windows, stride, padding, and pixels that no window reaches",
    zh="输出大小：窗口、步幅、填充，以及没有窗口覆盖到的像素",
)
def output_sizes(*, seed: int = 0, quick: bool = False) -> Result:
    """Compare (h + 2 p - k) / s + 1, rounded down, with what `Conv2D` makes of images."""
    book = {  # chapter 7: image, window, padding, stride, output
        "4x4, window 3x3, padding 1, stride 1": ((4, 4), (3, 3), 1, 1, (4, 4)),
        "7x7, window 3x3, padding 0, stride 2": ((7, 7), (3, 3), 0, 2, (3, 3)),
        "28x31, window 5x5, padding 2, stride 3": ((28, 31), (5, 5), 2, 3, (10, 11)),
    }
    sizes = {
        name: L.Conv2D(1, kernel, stride, padding).out_shape((1, *image))[1:]
        for name, (image, kernel, padding, stride, _) in book.items()
    }
    most = 8 if quick else 20
    settings = [
        (h, k, p, s)
        for h, k, p, s in itertools.product(range(3, most), range(1, 6), range(3), range(1, 4))
        if h + 2 * p >= k
    ]
    wrong = [case for case in settings if made_by_layer(*case) != size_of(*case)]
    same = [case for case in settings if case[1] == 2 * case[2] + 1 and case[3] == 1]

    def draw(figure: Any) -> None:
        axes = figure.subplots(len(CASES), 1, sharex=True)
        for ax, (h, k, p, s) in zip(axes, CASES, strict=True):
            count = size_of(h, k, p, s)
            reached = (count - 1) * s + k  # pixels, with padding, up to the end of the last window
            for pixel in range(-p, h + p):
                padding = not 0 <= pixel < h
                unused = pixel + p >= reached and not padding
                colour = "lightgrey" if padding else "C3" if unused else "C0"
                ax.bar(pixel, 0.8, width=0.9, color=colour, alpha=0.6)
            for window in range(count):
                first, y = window * s - p, 1.2 + 0.45 * (window % 3)
                ax.plot([first - 0.4, first + k - 0.6], [y, y], "k", lw=2)
            ax.set(ylim=(0, 2.5), yticks=[], xlim=(-2.6, 8.6))
            ax.set_title(
                f"window {k}, padding {p}, stride {s}: "
                f"floor(({h} + {2 * p} - {k}) / {s}) + 1 = {count}",
                fontsize=9, loc="left",
            )  # fmt: skip
        axes[-1].set_xlabel("pixel (grey: padding, red: under no window); lines are windows")

    return Result(
        numbers={
            **{name: f"{size[0]}x{size[1]}" for name, size in sizes.items()},
            "settings compared with the formula": len(settings),
            "settings in which Conv2D differs": len(wrong),
            "pixels of 7 under no window of 3 at stride 3": 7 - (2 - 1) * 3 - 3,
        },
        see={
            "en": "Each line is a window, each line one output. A stride of 2 halves the output, a "
            "padding of (k - 1) / 2 keeps the size at stride 1. With window 3 and stride 3, the "
            "division leaves a remainder: it is rounded down, and the last pixel is under no "
            "window.",
            "zh": "每条线段是一个窗口，也就是一个输出。步幅为 2 时输出减半；"
            "步幅为 1 时，填充 (k - 1) / 2 可保持大小不变。"
            "窗口为 3、步幅为 3 时除不尽：结果向下取整，最后一个像素不在任何窗口内。",
        },
        found=not wrong
        and all(sizes[name] == right for name, (*_, right) in book.items())
        and all(size_of(*case) == case[0] for case in same),
        draw=draw,
        size=(7.0, 6.5),
        data={"sizes": sizes, "settings": settings, "wrong": wrong},
    )


def size_of(h: int, k: int, p: int, s: int) -> int:
    """Return the number of windows by the formula."""
    return (h + 2 * p - k) // s + 1


def made_by_layer(h: int, k: int, p: int, s: int) -> int:
    """Return the number of windows that a layer computes."""
    shape = L.Conv2D(1, (k, 1), (s, 1), (p, p, 0, 0)).out_shape((1, h, 1))
    return int(shape[1])
