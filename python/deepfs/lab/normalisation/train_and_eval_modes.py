"""Batch norm in training and in inference: statistics of the batch, and running ones."""

from __future__ import annotations

from typing import Any

import numpy as np

from deepfs import layers as L

from .._experiment import Result, experiment
from ._shared import classifier, digits, network, train


@experiment(
    en="Batch norm in training mode and in inference mode",
    zh="批归一化的训练模式与推理模式",
)
def train_and_eval_modes(
    momentum: float = 0.9,
    steps: int = 200,
    *,
    seed: int = 0,
    quick: bool = False,
    full: bool = False,
) -> Result:
    """Compare the outputs in both modes while a network learns, then on batches of one class.

    In training a batch norm uses mean and variance of the batch, in inference the running ones:
    after t steps these still consist to the share momentum^t of their values at the start, 0 and 1.
    """
    (x, y), (xt, yt) = digits(full)
    units = 100
    if quick:
        units, steps = 40, min(steps, 80)
    net = network([units] * 2, lambda: L.BatchNorm(momentum))
    model = classifier(net, 0.1, seed)
    norm, apart, running, batches = net["batchnorm_1"], [], [], []

    def in_training_mode(images: Any) -> Any:
        """Return the outputs as in a training step; keep the running statistics."""
        weights = net.get_weights()
        outputs, _ = net.forward(images, training=True)
        net.set_weights(weights)
        return outputs

    for k in range(steps):
        train(model, x, y, 50, 1, seed + k)
        expected, outputs = net(xt), in_training_mode(xt)
        apart.append(float(np.sqrt(np.mean((outputs - expected) ** 2)) / outputs.std()))
        running.append(float(norm.get_weights()["running_var"].mean()))
        batches.append(float(net["dense_1"](xt.reshape(len(xt), -1)).var(axis=0).mean()))
    one_class = [xt[yt == digit] for digit in range(10)]
    accuracy = {
        "inference": float(np.mean(net(xt).argmax(axis=1) == yt)),
        "training, mixed batch": float(np.mean(in_training_mode(xt).argmax(axis=1) == yt)),
        "training, batches of one class": float(
            np.mean(
                [(in_training_mode(part).argmax(1) == k).mean() for k, part in enumerate(one_class)]
            )
        ),
        "inference, batches of one class": float(
            np.mean([(net(part).argmax(1) == k).mean() for k, part in enumerate(one_class)])
        ),
    }

    def draw(figure: Any) -> None:
        left, middle, right = figure.subplots(1, 3, width_ratios=[1, 1, 1.1])
        at = range(1, steps + 1)
        left.plot(at, batches, label="of the test images")
        left.plot(at, running, "--", label="running")
        left.set(
            xlabel="training steps", ylabel="mean over features", title="variance in batch norm 1"
        )
        left.set_ylim(bottom=0)
        left.legend()
        middle.plot(at, apart)
        middle.set(
            xlabel="training steps",
            ylabel="difference / std of outputs",
            ylim=(0, None),
            title="outputs in the two modes",
        )
        labels = [name.replace(", ", ",\n").replace(" of one", "\nof one") for name in accuracy]
        bars = right.bar(range(4), list(accuracy.values()), color=["C0", "C1", "C1", "C0"])
        right.bar_label(bars, fmt="%.2f")
        right.set_xticks(range(4), labels, fontsize=7)
        right.set(ylabel="accuracy on test images", ylim=(0, 1.08), title="after training")

    return Result(
        numbers={
            "difference of the modes after step 1": apart[0],
            f"difference of the modes after step {steps}": apart[-1],
            "running variance over that of the test images, step 1": running[0] / batches[0],
            f"running variance over that of the test images, step {steps}": running[-1]
            / batches[-1],
        }
        | {f"accuracy, {name}": value for name, value in accuracy.items()},
        see={
            "en": "At first the running statistics are still near 0 and 1, and the two modes "
            "differ. After about 30 steps they agree. Then forget to switch: on batches of one "
            f"class, training mode gets {accuracy['training, batches of one class']:.0%} right, "
            "since it subtracts just what the images have in common; inference mode treats each "
            "image alone. So inference does not turn batch norm off: it uses other statistics.",
            "zh": "开始时运行统计量还接近初始值 0 和 1，两种模式的输出不同；大约 30 "
            "步之后就一致了。如果忘了切换模式：每批只含一个类别时，训练模式的正确率只有 "
            f"{accuracy['training, batches of one class']:.0%}，"
            "因为它减去的恰恰是这些图像的共同点；推理模式则单独处理每幅图像。"
            "所以推理模式并不是关闭批归一化，而是换用另一组统计量。",
        },
        found=apart[0] > 2 * apart[-1]
        and abs(running[-1] / batches[-1] - 1) < 0.2 < abs(running[0] / batches[0] - 1)
        and abs(accuracy["inference"] - accuracy["training, mixed batch"]) < 0.05
        and accuracy["training, batches of one class"] < 0.5 * accuracy["inference"],
        draw=draw,
        size=(10.5, 4.0),
        data={"apart": apart, "running": running, "batches": batches, "accuracy": accuracy},
    )
