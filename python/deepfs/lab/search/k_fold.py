"""k-fold cross-validation drawn, and what the spread of its k numbers says."""

from __future__ import annotations

from typing import Any

import numpy as np

import deepfs as dfs

from .._experiment import Result, experiment
from ._shared import accuracy, digits, small_model, train


@experiment(
    en="k-fold cross-validation: each sample is tested once; what k numbers say",
    zh="k 折交叉验证：每个样本恰好测试一次；k 个数说明什么",
)
def k_fold(
    k: int = 5,
    images: int = 500,
    repeats: int = 20,
    *,
    seed: int = 0,
    quick: bool = False,
    full: bool = False,
) -> Result:
    """Train k times, each time on all folds but one, and test on that one.

    This is the loop of `deepfs.cross_validate`, written out.

    Then divide the same images anew, ``repeats`` times in all: how much do single numbers vary, how
    much their mean over k? By chance alone, of m test images a share p is right with the standard
    deviation sqrt(p (1 - p) / m).
    """
    images, repeats, epochs = (min(images, 300), min(repeats, 8), 4) if quick else (
        images, repeats, 10)  # fmt: skip
    (x, y), _, fresh = digits(images, full)
    tested, scores, truth = np.zeros((repeats, images), int), np.empty((repeats, k)), []
    for row in range(repeats):
        folds = dfs.data.KFold(k, seed=seed * repeats + row)
        for column, (inside, outside) in enumerate(folds.split(x)):
            model = small_model(0.1, seed=seed)
            train(model, (x[inside], y[inside]), epochs)
            scores[row, column] = accuracy(model, (x[outside], y[outside]))
            tested[row, outside] += 1
            truth.append(accuracy(model, fresh))
    mean = scores.mean(axis=1)
    p = float(scores.mean())
    chance = float(np.sqrt(p * (1 - p) * k / images))
    within = float(scores.std(axis=1, ddof=1).mean())
    between = float(mean.std(ddof=1))

    def draw(figure: Any) -> None:
        left, right = figure.subplots(1, 2, width_ratios=(1.3, 1))
        for row in range(k):
            for column in range(k):
                test = row == column
                left.barh(row, 0.96, left=column, color="C1" if test else "C0", height=0.7,
                          alpha=1 if test else 0.35)  # fmt: skip
                left.text(column + 0.48, row, "test" if test else "train", ha="center", va="center")
            left.text(k + 0.15, row, f"{scores[0, row]:.1%}", va="center", weight="bold")
        left.text(k + 0.15, k, f"{mean[0]:.1%} ± {scores[0].std(ddof=1):.1%}", va="center",
                  color="C3", weight="bold")  # fmt: skip
        left.text(k - 0.04, k, "mean ± deviation:", va="center", ha="right", color="C3")
        left.set(xlim=(0, k + 1.7), ylim=(k + 0.4, -0.5), title=f"{images} images in {k} folds")
        left.set_xticks(np.arange(k) + 0.48, [f"fold {column + 1}" for column in range(k)])
        left.set_yticks(range(k), [f"model {row + 1}" for row in range(k)])
        left.xaxis.tick_top()
        left.tick_params(length=0)
        left.spines[:].set_visible(False)
        at = np.arange(1, repeats + 1)
        for column in range(k):
            label = f"one fold, {images // k} images" if not column else None
            right.plot(at, scores[:, column], ".", color="C1", alpha=0.7, label=label)
        right.plot(at, mean, "o", color="C3", label=f"mean of {k}")
        right.axhline(np.mean(truth), color="k", ls=":", label=f"{len(fresh[1]):,} fresh images")
        right.set(xlabel="division of the same images", ylabel="accuracy")
        right.set(title="the images divided anew", ylim=(None, scores.max() + 0.12))
        right.xaxis.get_major_locator().set_params(integer=True)
        right.legend(loc="upper center", ncols=2, fontsize=9)

    numbers: dict[str, Any] = {
        f"model {row + 1}: accuracy on its test fold": float(score)
        for row, score in enumerate(scores[0])
    }
    numbers |= {
        "their mean": float(mean[0]),
        "their standard deviation": float(scores[0].std(ddof=1)),
        "deviation of the numbers, mean of the divisions": within,
        "the same by chance alone, sqrt(p (1 - p) / m)": chance,
        "deviation of the means of divisions": between,
        "accuracy on fresh images": float(np.mean(truth)),
    }
    return Result(
        numbers=numbers,
        see={
            "en": f"Each row is a model, trained on {k - 1} folds and tested on the other: after "
            f"{k} rows every image was in a test once. The number of one fold varies by "
            f"{100 * within:.1f} points, and chance in {images // k} test images alone gives "
            f"{100 * chance:.1f}: do not choose between settings that differ by less. The mean "
            f"varies by {100 * between:.1f} only, as all {images} images were tested; from other "
            f"images it would vary more. It costs {k} trainings, so it is for small data.",
            "zh": f"每行是一个模型，用 {k - 1} 折训练，用剩下的一折测试：{k} 行之后，每张图像都"
            f"恰好测试过一次。单独一折的精度波动 {100 * within:.1f} 个百分点，而 {images // k} "
            f"张测试图像的偶然性本身就有 {100 * chance:.1f} 个百分点：两组设置的差别比这还小时，"
            f"不要据此取舍。平均值只波动 {100 * between:.1f} 个百分点，因为 {images} 张图像全部"
            f"参与了测试；换一批图像，波动会更大。代价是训练 {k} 次，所以适合数据少的情形。",
        },
        found=bool((tested == 1).all())
        and 0.5 < within / chance < 2
        and between < 0.75 * within
        and abs(p - float(np.mean(truth))) < 3 * chance,
        draw=draw,
        size=(12.0, 4.5),
        data={"scores": scores, "tested": tested, "fresh": np.array(truth)},
    )
