"""Why validation data are no test data: the best of many tries looks better than it is."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._experiment import Result, experiment
from ._shared import digits, small_model, train


@experiment(
    en="Validation data are no test data: the best of many tries looks better than it is",
    zh="验证数据不是测试数据：许多次尝试中最好的一次，看起来比实际更好",
)
def validation_or_test(
    tries: int = 60,
    size: int = 100,
    draws: int = 2000,
    *,
    seed: int = 0,
    quick: bool = False,
    full: bool = False,
) -> Result:
    """Choose the best of n networks by ``size`` validation images, and test it on fresh ones.

    The networks differ in initial weights and slightly in the learning rate. Each draw takes other
    validation images and another order of the networks, so that the means hide no lucky choice.
    """
    images, tries, epochs = (300, min(tries, 20), 8) if quick else (1000, tries, 10)
    data, (x, y), (x_more, y_more) = digits(images, full)
    pool, labels = np.concatenate([x, x_more]), np.concatenate([y, y_more])
    rng = np.random.default_rng(seed)
    right = np.empty((tries, len(labels)), bool)  # which images each network gets right
    for row, rate in enumerate(10 ** rng.uniform(-1.2, -0.8, tries)):
        model = small_model(float(rate), seed=seed * tries + row)
        train(model, data, epochs)
        right[row] = model.predict(pool, batch_size=1000).argmax(axis=1) == labels

    draws = min(draws, 300) if quick else draws
    shown, true = np.empty((draws, tries)), np.empty((draws, tries))
    for k in range(draws):
        order, split = rng.permutation(tries), rng.permutation(len(labels))
        validation = right[order][:, split[:size]].mean(axis=1)
        test = right[order][:, split[size:]].mean(axis=1)
        for n in range(tries):
            best = validation[: n + 1].argmax()
            shown[k, n], true[k, n] = validation[best], test[best]
    reported, real = shown.mean(axis=0), true.mean(axis=0)
    optimism = reported - real

    def draw(figure: Any) -> None:
        left, right_ax = figure.subplots(1, 2, width_ratios=(1.3, 1))
        n = np.arange(1, tries + 1)
        left.plot(n, reported, "C3", label="on the validation images that chose it")
        left.plot(n, real, "C0", label="on fresh images")
        left.fill_between(n, real, reported, color="C3", alpha=0.15)
        middle = (reported[-1] + real[-1]) / 2
        words = f"{100 * optimism[-1]:.1f} points too high"
        left.text(tries, middle, words, ha="right", va="center")
        left.set(xlabel="networks to choose from", ylabel="accuracy of the best")
        left.set(title=f"best of n by {size} images, mean of {draws:,} draws")
        left.xaxis.get_major_locator().set_params(integer=True)
        left.legend(loc="upper left")
        left.set_ylim(None, reported.max() + 0.25 * (reported.max() - real.min()))
        bins = np.linspace(-0.15, 0.2, 36)
        for n_shown, color in ((1, "0.6"), (tries, "C3")):
            difference = shown[:, n_shown - 1] - true[:, n_shown - 1]
            label = f"best of {n_shown}: mean {100 * difference.mean():+.1f} points"
            right_ax.hist(difference, bins, color=color, alpha=0.6, density=True, label=label)
        right_ax.axvline(0, color="k", lw=1)
        right_ax.set(xlabel="accuracy on validation - on fresh images", yticks=[])
        right_ax.set(title="a single draw", ylabel="how often")
        right_ax.set_ylim(0, 1.25 * right_ax.get_ylim()[1])
        right_ax.legend(loc="upper left")

    some = [n for n in (1, 3, 10, 30, tries) if n <= tries]
    numbers = {}
    for n in dict.fromkeys(some):
        numbers[f"best of {n}: accuracy on validation images"] = float(reported[n - 1])
        numbers[f"best of {n}: accuracy on fresh images"] = float(real[n - 1])
    return Result(
        numbers=numbers,
        see={
            "en": "One network has the same accuracy on validation and on fresh images, up to "
            f"chance. The best of {tries} was chosen partly for its luck with these {size} "
            f"images: they say {reported[-1]:.1%}, fresh ones {real[-1]:.1%}. More tries raise "
            "the first number further, the second much less. Whatever data chose among, be it "
            "settings, epochs or seeds, cannot judge the choice: report the number of test data "
            "that are used once, at the end.",
            "zh": "单个网络在验证图像和新图像上的精度相同，只差偶然的波动。"
            f"{tries} 个网络中最好的那个，被选中部分是因为碰巧适合这 {size} 张图像：它们给出 "
            f"{reported[-1]:.1%}，新图像只有 {real[-1]:.1%}。尝试越多，前一个数越高，后一个升得"
            "少得多。凡是用来挑选过的数据，无论挑选的是设置、epoch 还是随机种子，都不能再评价所选的"
            "结果：应当报告测试数据上的精度，而测试数据只在最后使用一次。",
        },
        found=bool(abs(optimism[0]) < 0.01)
        and bool(optimism[-1] > 0.015)
        and bool(optimism[-1] > real[-1] - real[0]),
        draw=draw,
        size=(12.0, 4.5),
        data={"right": right, "reported": reported, "real": real, "shown": shown, "true": true},
    )
