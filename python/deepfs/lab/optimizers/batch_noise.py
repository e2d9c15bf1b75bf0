"""Batch size against the noise of the gradient."""

from __future__ import annotations

from typing import Any

import numpy as np

import deepfs as dfs
from deepfs import layers as L

from .._experiment import Result, experiment
from ._shared import label_log_axis


@experiment(
    en="Batch size against noise of the gradient: four times the images, half the noise",
    zh="批量大小与梯度噪声：图像增加到四倍，噪声减半",
)
def batch_noise(
    repeats: int = 50, *, seed: int = 0, quick: bool = False, full: bool = False
) -> Result:
    """Compare gradients of batches with the gradient of all images, at the same weights.

    The mean of B independent gradients has 1/sqrt(B) of the noise of one. Where the noise is as
    large as the gradient itself lies the batch size beyond which more images help little
    (McCandlish et al. 2018, arXiv:1812.06162).
    """
    (x, y), _ = dfs.datasets.mnist() if full else dfs.datasets.mnist_mini()
    if quick:
        x, y, repeats = x[:1500], y[:1500], 15
    rng = np.random.default_rng(seed)
    net = L.Sequential([L.Flatten(), L.Dense(30), L.ReLU(), L.Dense(10)])
    loss = dfs.losses.CrossEntropy()
    model = dfs.Model(net, loss, dfs.optimizers.SGD(0.05), seed=seed)
    for _ in range(30):  # not at the very start, where all gradients agree
        chosen = rng.integers(0, len(x), 100)
        model.train_on_batch(x[chosen], y[chosen])

    def gradient(chosen: Any) -> Any:
        """Return the gradient of the mean loss of some images, as one long vector."""
        net.zero_grad()
        outputs, cache = net.forward(x[chosen], training=True)
        _, loss_cache = loss.forward(outputs, y[chosen])
        net.backward(loss.backward(loss_cache), cache, need_dx=False)
        return np.concatenate([p.grad.ravel() for p in net.parameters().values()])

    exact = gradient(slice(None))
    norm = float(np.linalg.norm(exact))
    sizes = np.array([1, 4, 16, 64, 256] if quick else [1, 4, 16, 64, 256, 1024])
    noise, cosines = [], []
    for size in sizes:
        drawn = np.array([gradient(rng.integers(0, len(x), size)) for _ in range(repeats)])
        noise.append(float(np.sqrt(((drawn - exact) ** 2).sum(axis=1).mean())))
        cosines.append(float((drawn @ exact / (np.linalg.norm(drawn, axis=1) * norm)).mean()))
    slope = float(np.polyfit(np.log(sizes), np.log(noise), 1)[0])
    one = float(np.exp(np.mean(np.log(noise * np.sqrt(sizes)))))  # noise of one image
    enough = (one / norm) ** 2

    def draw(figure: Any) -> None:
        left, right = figure.subplots(1, 2)
        left.loglog(sizes, noise, "o", label="measured")
        left.loglog(sizes, one / np.sqrt(sizes), "k:", label=f"{one:.1f} / sqrt(B)")
        left.axhline(norm, color="C1", ls="--", label="norm of the gradient of all images")
        left.axvline(enough, color="0.7", lw=0.8)
        left.set(xlabel="batch size B", ylabel="root mean square error of the gradient")
        left.set_title(f"noise = gradient at B = {enough:.0f}")
        label_log_axis(left.yaxis)
        left.legend(fontsize=8)
        right.semilogx(sizes, cosines, "o-")
        right.set(xlabel="batch size B", ylabel="cosine", ylim=(0, 1.02))
        right.set_title("angle between batch gradient and exact one")

    return Result(
        numbers={
            "exponent of the batch size": slope,
            **{f"noise, batch of {n}": e for n, e in zip(sizes.tolist(), noise, strict=True)},
            "norm of the exact gradient": norm,
            "batch size at which both are equal": float(enough),
            "cosine to the exact gradient, batch of 1": cosines[0],
            f"cosine to the exact gradient, batch of {sizes[-1]}": cosines[-1],
        },
        see={
            "en": "The noise falls as 1/sqrt(B), while the cost of a step grows as B: half the "
            f"noise costs four times the images. Up to about {enough:.0f} images the gradient is "
            "mostly noise and a larger batch makes better steps; far beyond, it only makes them "
            "dearer.",
            "zh": "噪声按 1/sqrt(B) 下降，而每一步的计算量按 B 增长：噪声减半需要四倍的图像。批量"
            f"小于约 {enough:.0f} 时，梯度中噪声占多数，增大批量能改善每一步；远大于此时，只会增加"
            "计算量。",
        },
        found=-0.6 < slope < -0.4 and cosines[0] < 0.3 and cosines[-1] > 0.7,
        draw=draw,
        size=(10, 4.2),
        data={"sizes": sizes, "noise": noise, "cosines": cosines},
    )
