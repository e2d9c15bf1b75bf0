"""Time augmentation: what it costs, as a part of the training step that it goes with.

    python benchmarks/augmentation.py [--threads 1 2] [--rounds 30] [--networks deep_convnet]

Rows are lists of transforms, on `deep_convnet` with batches of 100 images of 28x28, and `resnet20`
with batches of 128 images of 3x32x32. The source is uint8 and larger than the processor's caches;
each call takes other samples from anywhere in it. A call of `Pipeline.images` is timed, and the
kernel in it alone; both also gather, convert and scale, which a step without augmentation needs,
too, and which "none" shows.

An absolute time on a shared machine means nothing: in each round, a training step and a call of
each row follow each other, and a share is the median over rounds of (call / step). The first row,
flip and crop, comes right after the step and finds caches full of other data, as in a training; the
others find code and tables of the row before. A step is `Model.train_on_batch` with Adam on a batch
in memory.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np

import deepfs as dfs
from cnn_core import image
from compare import machine, positive
from deepfs import augment as A

SETTINGS = {"deep_convnet": (100, (1, 28, 28)), "resnet20": (128, (3, 32, 32))}
SAMPLES = 40_000
IMAGES: dict[str, Any] = {
    "flip, crop": [A.RandomHorizontalFlip(), A.RandomCrop(4)],
    "none": None,
    "flip": A.RandomHorizontalFlip(),
    "crop": A.RandomCrop(4),
    "flip, crop reflected": [A.RandomHorizontalFlip(), A.RandomCrop(4, "reflect")],
    "affine": A.RandomAffine(15, translate=0.1, scale=(0.9, 1.1)),
    "brightness, contrast": A.ColorJitter(0.2, 0.2),
    "cutout": A.Cutout(8),
    "function": lambda picture, rng: picture,
}
BATCHES = {"mixup": A.MixUp(), "cutmix": A.CutMix()}


def timed(call: Callable[[], Any]) -> float:
    """Return the seconds of a call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


class Kernel:
    """Takes the place of the kernel module, and adds up the seconds of its calls."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __getattr__(self, name: str) -> Any:
        def call(*args: Any) -> None:
            self.seconds += timed(lambda: getattr(image, name)(*args))

        return call


def measure(network: str, rounds: int) -> dict[str, tuple[float, float, float, float]]:
    """Return of each row: ms of a call and of the kernel; their shares of a step."""
    size, shape = SETTINGS[network]
    rng = np.random.default_rng(0)
    source = rng.integers(0, 256, (SAMPLES, *shape), dtype=np.uint8)
    y = rng.integers(0, 10, size)
    net = getattr(dfs.networks, network)()
    model = dfs.Model(net, dfs.losses.CrossEntropy(), dfs.optimizers.Adam(1e-3), ())
    x = source[:size].astype(np.float32) / 255
    scale, shift = np.full(shape[0], 1 / 255), np.full(shape[0], -0.5)
    kernel = Kernel()
    A._pipeline.image = kernel  # type: ignore[attr-defined]
    A.mixing.image = kernel  # type: ignore[attr-defined]
    steps: list[float] = []
    calls: dict[str, list[tuple[float, float]]] = {name: [] for name in (*IMAGES, *BATCHES)}
    for epoch in range(-2, rounds):  # the first two wake caches and threads
        step = timed(lambda: model.train_on_batch(x, y))
        if epoch >= 0:
            steps.append(step)
        for name, found in calls.items():
            index = rng.integers(0, SAMPLES, size)
            pipe = A.pipeline((IMAGES | BATCHES)[name])
            kernel.seconds = 0.0
            if name in BATCHES:
                seconds = timed(lambda: pipe.mix(x, y, None, index, 0, 0, 10))  # noqa: B023
            else:
                seconds = timed(
                    lambda: pipe.images(source, index, index, max(epoch, 0), 0, scale, shift)  # noqa: B023
                )
            if epoch >= 0:
                found.append((seconds, kernel.seconds))
    print(f"\n{network}, batch {size}: a step takes {1000 * median(steps):.1f} ms (median)")
    rows = {}
    for name, found in calls.items():
        parts = list(zip(*found, strict=True))  # the calls, the kernel
        shares = [median(a / b for a, b in zip(part, steps, strict=True)) for part in parts]
        rows[name] = (1000 * median(parts[0]), 1000 * median(parts[1]), shares[0], shares[1])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=positive, nargs="+", default=[dfs.get_num_threads()])
    parser.add_argument("--rounds", type=positive, default=30)
    parser.add_argument("--networks", nargs="+", choices=SETTINGS, default=[*SETTINGS])
    options = parser.parse_args()
    print(machine())
    for threads in options.threads:
        dfs.set_num_threads(threads)
        for network in options.networks:
            rows = measure(network, options.rounds)
            print(f"threads {threads:<16} call ms  kernel ms  call/step  kernel/step")
            for name, (call, inside, share, kernel) in rows.items():
                print(f"{name:24} {call:7.2f} {inside:10.2f} {share:10.2%} {kernel:12.2%}")


if __name__ == "__main__":
    main()
