"""Inference with ready weights: batches give the same answers as single images, and faster."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

import deepfs as dfs
from deepfs import layers as L

from .._experiment import Result, experiment
from ._shared import cpu_seconds


def _outputs(net: L.Layer, x: Any, size: int) -> Any:
    """Return the outputs for ``x``, computed in batches of ``size`` images."""
    return np.concatenate([net(x[i : i + size]) for i in range(0, len(x), size)])


@experiment(
    en="Inference with ready weights: one image at a time against batches",
    zh="用训练好的权重推理：逐张处理与批处理",
)
def inference_batches(
    sizes: tuple[int, ...] = (1, 2, 5, 10, 20, 50, 100, 250),
    *,
    seed: int = 0,
    quick: bool = False,
    full: bool = False,
) -> Result:
    """Classify the test images of the digits 0 to 4 by a network that deepfs brings along.

    ``sizes`` are the batch sizes. The time is CPU time, summed over threads.
    """
    net = dfs.networks.pretrained("mnist_0_to_4")
    _, (x, y) = dfs.datasets.mnist() if full else dfs.datasets.mnist_mini()
    x, y = x[y < 5], y[y < 5]
    if quick:
        x, y, sizes = x[:200], y[:200], (1, 10, 100)
    outputs = {size: _outputs(net, x, size) for size in sizes}
    seconds = {
        size: cpu_seconds(functools.partial(_outputs, net, x, size), 2 if quick else 5) / len(x)
        for size in sizes
    }
    single, largest = outputs[sizes[0]], sizes[-1]
    changed = max(int((y_.argmax(1) != single.argmax(1)).sum()) for y_ in outputs.values())
    difference = max(float(np.abs(y_ - single).max()) for y_ in outputs.values())
    probabilities = L.Softmax()(single)

    def draw(figure: Any) -> None:
        left, right = figure.subplots(1, 2, width_ratios=[1, 1.3])
        left.semilogx(sizes, [1e6 * seconds[size] for size in sizes], "o-")
        left.set_xticks(sizes, [str(size) for size in sizes], minor=False)
        left.set_xticks([], minor=True)
        left.set(xlabel="images per batch", ylabel="CPU time per image, microseconds")
        left.set(title="Time", ylim=(0, None))
        right.axis("off")
        right.set_title("The least certain answers and their probabilities")
        for place, k in enumerate(probabilities.max(axis=1).argsort()[:15]):
            inset = right.inset_axes((place % 5 / 5, 0.7 - place // 5 / 3, 0.18, 0.25))
            inset.imshow(x[k, 0], cmap="gray_r")
            inset.set_title(f"{single[k].argmax()}: {probabilities[k].max():.2%}", fontsize=8)
            inset.axis("off")

    return Result(
        numbers={
            "images": len(x),
            "accuracy": float((single.argmax(1) == y).mean()),
            "answers that the batch size changes": changed,
            "largest difference of the outputs": difference,
            **{
                f"CPU time per image, batches of {size}, microseconds": round(1e6 * cpu, 1)
                for size, cpu in seconds.items()
            },
            f"CPU time, single images over batches of {largest}": round(
                seconds[sizes[0]] / seconds[largest], 2
            ),
        },
        see={
            "en": "Every batch size gives the same digits; outputs differ by rounding only, "
            "because sums are formed in another order. A batch costs less time per image: calls of "
            "Python and of kernels are paid once for all, and weights are read once. Beyond "
            "some 50 images little is left to gain.",
            "zh": "无论批大小如何，识别结果都相同；输出只因求和次序不同而有舍入误差。"
            "批处理时每张图像的耗时更少：Python 调用和内核调用的开销由整批分摊，权重也只读一次。"
            "超过约 50 张后，收益已很小。",
        },
        found=bool(
            changed == 0
            and difference < 1e-4
            and (single.argmax(1) == y).mean() > 0.98
            and seconds[sizes[0]] > 1.5 * seconds[largest]
        ),
        draw=draw,
        size=(10.0, 4.4),
        data={"outputs": outputs, "seconds": seconds},
    )
