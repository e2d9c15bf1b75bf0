"""A log of trials as a person keeps it: settings, curve, verdict, and what to change next."""

from __future__ import annotations

import textwrap
from typing import Any

import numpy as np

import deepfs as dfs

from .._experiment import Result, experiment
from ._shared import accuracy, digits, small_model, train

TRIALS = (  # pixels up to, initial weights, rate; each trial changes one setting of the one before
    (255, "zeros", 3.0),
    (255, "he_normal", 3.0),
    (1, "he_normal", 3.0),
    (1, "he_normal", 1e-5),
    (1, "he_normal", 1e-2),
    (1, "he_normal", 1e-1),
)


@experiment(
    en="A log of trials by hand: settings, curve, and the verdict of dfs.diagnose in words",
    zh="手工试验日志：设置、曲线，以及 dfs.diagnose 用文字给出的诊断",
)
def babysitting_log(
    trials: tuple[tuple[float, str, float], ...] = TRIALS,
    images: int = 1000,
    epochs: int = 20,
    *,
    seed: int = 0,
    quick: bool = False,
    full: bool = False,
) -> Result:
    """Train a small network a few times; after each trial, change what the verdict names.

    A trial is (largest value of a pixel, initial weights, learning rate). The verdict is the first
    finding of `deepfs.diagnose`, which looks at the model before it is trained.
    """
    images, epochs = (min(images, 300), min(epochs, 6)) if quick else (images, epochs)
    (x, y), (x_new, y_new), _ = digits(images, full)
    log: list[dict[str, Any]] = []
    for top, start, rate in trials:
        pixels, model = np.float32(top), small_model(rate, seed=seed, start=start)
        found = dfs.diagnose(model, pixels * x, y, batch_size=20, samples=256).findings
        loss = train(model, (pixels * x, y), epochs)
        log.append(
            {
                "settings": f"pixels 0 to {top:g}\nweights: {start}\nlearning rate {rate:g}",
                "kinds": [finding.kind for finding in found],
                "verdict": f"{found[0].cause}. {found[0].remedy}." if found else "No finding.",
                "loss": loss,
                "accuracy": accuracy(model, (pixels * x_new, y_new)),
            }
        )
    right = [trial["accuracy"] for trial in log]
    best = int(np.argmax(right))

    def draw(figure: Any) -> None:
        rows = figure.subplots(len(log), 3, sharex="col", width_ratios=(1, 1.3, 2.2), squeeze=False)
        for number, (row, trial) in enumerate(zip(rows, log, strict=True), 1):
            row[0].text(0, 0.5, f"{number}", va="center", fontsize=15, color="C0")
            row[0].text(0.15, 0.5, trial["settings"], va="center", fontsize=9)
            # a loss of 20 is as bad as one of 20,000: cut there, so that all axes are the same
            row[1].plot(np.arange(1, epochs + 1), np.minimum(trial["loss"], 20), ".-")
            row[1].axhline(np.log(10), color="0.6", ls=":", lw=1)
            row[1].set(ylim=(0.02, 30), yscale="log", yticks=[0.1, 1, 20], ylabel="loss")
            row[1].set_yticklabels(["0.1", "1", "20+"])
            row[1].minorticks_off()
            words = textwrap.fill(trial["verdict"], 64)
            row[2].text(0, 0.68, words, va="center", fontsize=9)
            color = "C2" if trial["accuracy"] == max(right) else "k"
            shown = f"validation accuracy {trial['accuracy']:.1%}"
            row[2].text(0, 0.12, shown, va="center", fontsize=9, color=color, weight="bold")
            row[0].axis("off")
            row[2].axis("off")
        for ax, title in zip(rows[0], ("trial", "curve", "verdict"), strict=True):
            ax.set_title(title, loc="left")
        rows[-1, 1].set_xlabel("epoch (dotted: guessing)")

    names = [trial["kinds"][0] if trial["kinds"] else "no finding" for trial in log]
    numbers: dict[str, Any] = {}
    for k, (name, value) in enumerate(zip(names, right, strict=True), 1):
        numbers |= {f"trial {k}, verdict": name, f"trial {k}, validation accuracy": value}
    return Result(
        numbers=numbers,
        see={
            "en": "Read it from top to bottom: each trial changes one setting, the one that the "
            "verdict before named. While something is wrong, the network does little better than "
            "guessing. Once nothing is wrong, the trials still differ: which of the healthy "
            "settings is best no diagnosis says; there the search begins. Write your own log in "
            "the same way: one change at a time, with its curve and its verdict.",
            "zh": "请从上往下读：每次试验只改一个设置，就是上一次诊断指出的那个。只要还有问题，"
            "网络就和随机猜测差不多。诊断不再发现问题之后，各次试验的结果仍然不同："
            "健康的设置中哪个最好，诊断回答不了，要靠搜索。自己写日志也应如此："
            "每次只改一处，并记下曲线和诊断。",
        },
        found=all(value < 0.5 * max(right) for value, name in zip(right, names, strict=True)
                  if name != "no finding")
        and len({*names}) > 1
        and names[best] == "no finding",
        draw=draw,
        size=(10.0, 7.5),
        data={"log": log},
    )  # fmt: skip
