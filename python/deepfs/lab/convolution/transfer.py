"""Transfer learning: the digits 5 to 9 from few images, with layers that know 0 to 4."""

from __future__ import annotations

from typing import Any

import numpy as np

import deepfs as dfs

from .._experiment import Result, experiment


@experiment(
    en="Transfer: a network that knows 0 to 4 learns 5 to 9 from a few images",
    zh="迁移学习：认识 0 到 4 的网络只用少量图像就学会 5 到 9",
)
def transfer(steps: int = 200, *, seed: int = 0, quick: bool = False) -> Result:
    """Train a new last layer on frozen ones, the same network from new weights, and compare.

    Both take equally many steps on the same few images of each of the digits 5 to 9.
    """
    counts = (2, 50) if quick else (1, 2, 5, 10, 20, 50, 100)
    (x, y), (xt, yt) = dfs.datasets.mnist_mini()
    (x, y), (xt, yt) = (x[y > 4], y[y > 4] - 5), (xt[yt > 4], yt[yt > 4] - 5)
    if quick:
        steps = 40

    weights = dfs.networks.pretrained().get_weights()
    learned = {name: w for name, w in weights.items() if not name.startswith("dense_1")}
    accuracy: dict[str, list[float]] = {"frozen layers": [], "new weights": []}
    for count in counts:
        few = np.concatenate([np.flatnonzero(y == label)[:count] for label in range(5)])
        for name, right in accuracy.items():
            net = dfs.networks.mini_convnet(5)
            model = dfs.Model(net, dfs.losses.CrossEntropy(), dfs.optimizers.Adam(0.003), seed=seed)
            model.predict(x[:1])  # the first input builds the network
            if name == "frozen layers":
                net.set_weights({**net.get_weights(), **learned})
                net.freeze(until="dense_1")  # the last layer alone learns
            epochs = steps // -(-len(few) // 25)
            model.fit(x[few], y[few], batch_size=25, epochs=max(epochs, 1), verbose=0)
            right.append(float((model.predict_classes(xt) == yt).mean()))

    def draw(figure: Any) -> None:
        ax = figure.subplots()
        for name, right in accuracy.items():
            ax.plot(counts, right, "o-", label=name)
        ax.axhline(0.2, color="grey", ls=":", label="chance")
        ax.set(
            xscale="log", xlabel="training images of each digit, 5 to 9", ylim=(0, 1),
            ylabel=f"accuracy on {len(yt)} test images", title="transfer from the digits 0 to 4",
        )  # fmt: skip
        ax.set_xticks(counts, [str(count) for count in counts])
        ax.minorticks_off()
        ax.legend(loc="center right")

    gain = np.array(accuracy["frozen layers"]) - accuracy["new weights"]
    few_images = counts.index(2)
    return Result(
        numbers={
            f"accuracy with {count} of each digit, {name}": value
            for name, right in accuracy.items()
            for count, value in zip(counts, right, strict=True)
        },
        see={
            "en": "The layers that learned 0 to 4 find strokes and curves, and 5 to 9 are made of "
            "the same. So a few images are enough to train a new last layer on them, while all "
            "layers from new weights need several times as many. With more images, the advantage "
            "shrinks.",
            "zh": "学过 0 到 4 的各层能找出笔画和弧线，而 5 到 9 也由它们组成。"
            "因此只需少量图像训练新的最后一层；从新权重开始训练所有层则需要好几倍的图像。"
            "图像越多，迁移的优势越小。",
        },
        found=bool(gain[few_images] > 0.08 and gain[-1] < gain[few_images] - 0.03),
        draw=draw,
        data={"counts": np.array(counts), **{k: np.array(v) for k, v in accuracy.items()}},
    )
