"""Time single layers against PyTorch: forward and backward, in float32.

    python benchmarks/layers.py [--threads 1 2] [--only LayerNorm "MaxPool2D(2)"]

Both get the same input and the same gradient of the output, and must agree on the output and on the
gradient of the input first, but for layers that draw random numbers. They take turns in one
process. A time is that of the best of many short rounds, in milliseconds; a ratio is the time of
PyTorch over that of deepfs: above 1, deepfs is faster. PyTorch has images in the better of its
layouts, deepfs as its layers pass them on, channels-last.
"""

from __future__ import annotations

import argparse
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import deepfs as dfs
from compare import machine, positive
from deepfs import layers as L
from frameworks import Array

ROUNDS, SECONDS = 60, 0.003  # of each way, and of a round

Shape = tuple[int, ...]
Step = Callable[[], tuple[Array, Array]]
DIGITS, COLORS, FEW, MANY = (100, 1, 28, 28), (100, 3, 32, 32), (100, 16, 28, 28), (100, 32, 16, 16)


class Row(NamedTuple):
    """A layer of deepfs, by its line of Python, and how PyTorch makes the same for a shape."""

    layer: str
    make: Callable[[], L.Layer]
    peer: Callable[[Any, Shape], Any]
    shapes: list[Shape]
    drawn: bool = False  # with random numbers, which differ


ROWS = [
    Row("LayerNorm()", lambda: L.LayerNorm(),
        lambda torch, shape: torch.nn.LayerNorm(shape[1]), [(100, 256)]),
    Row("LayerNorm(axes=3)", lambda: L.LayerNorm(3),
        lambda torch, shape: torch.nn.LayerNorm(shape[1:]), [(100, 64, 14, 14)]),
    Row("InstanceNorm()", lambda: L.InstanceNorm(),
        lambda torch, shape: torch.nn.InstanceNorm2d(shape[1], affine=True), [MANY, COLORS]),
    Row("GroupNorm(8)", lambda: L.GroupNorm(8),
        lambda torch, shape: torch.nn.GroupNorm(8, shape[1]), [MANY]),
    Row("GroupNorm(1)", lambda: L.GroupNorm(1),
        lambda torch, shape: torch.nn.GroupNorm(1, shape[1]), [COLORS]),
    Row("Maxout(2)", lambda: L.Maxout(2),
        lambda torch, shape: lambda x: x.unflatten(1, (-1, 2)).amax(2), [(100, 512), MANY]),
    Row("GaussianNoise(0.1)", lambda: L.GaussianNoise(0.1),
        lambda torch, shape: lambda x: torch.randn_like(x).mul_(0.1).add_(x), [MANY], True),
    Row("Dropout(0.5)", lambda: L.Dropout(0.5),
        lambda torch, shape: torch.nn.Dropout(0.5), [MANY], True),
    Row("MaxPool2D(2)", lambda: L.MaxPool2D(2),
        lambda torch, shape: torch.nn.MaxPool2d(2), [DIGITS, COLORS, FEW]),
    Row("MaxPool2D(3, 2)", lambda: L.MaxPool2D(3, 2),
        lambda torch, shape: torch.nn.MaxPool2d(3, 2), [DIGITS, COLORS, FEW]),
    Row("AvgPool2D(2)", lambda: L.AvgPool2D(2),
        lambda torch, shape: torch.nn.AvgPool2d(2), [DIGITS, COLORS, FEW]),
    Row("AvgPool2D(3, 2)", lambda: L.AvgPool2D(3, 2),
        lambda torch, shape: torch.nn.AvgPool2d(3, 2), [DIGITS, COLORS, FEW]),
]  # fmt: skip


def ours(row: Row, x: Array, dy: Array) -> Step:
    """Return a step of deepfs, which gives the output and the gradient of the input."""
    layer, x, dy = row.make(), channels_last(x), channels_last(dy)

    def step() -> tuple[Array, Array]:
        y, cache = layer.forward(x, training=True)
        return y, layer.backward(dy, cache)

    return step


def channels_last(x: Array) -> Array:
    """Return images as they lie in memory between layers of deepfs."""
    if x.ndim < 4:
        return x
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)


def theirs(row: Row, x: Array, dy: Array, layout: str) -> Step:
    """Return a step of PyTorch likewise, with images in a layout."""
    import torch

    module = row.peer(torch, x.shape)
    order = getattr(torch, layout if x.ndim == 4 else "contiguous_format")
    images, gradient = (torch.tensor(array).contiguous(memory_format=order) for array in (x, dy))
    inputs = [images.requires_grad_()]
    if isinstance(module, torch.nn.Module):
        inputs += module.parameters()

    def step() -> tuple[Array, Array]:
        y = module(images)
        return y.detach().numpy(), torch.autograd.grad(y, inputs, gradient)[0].numpy()

    return step


def least(steps: list[Step]) -> list[float]:
    """Return the milliseconds of each step, in the best of rounds that take turns."""
    best, calls = [np.inf] * len(steps), [1] * len(steps)
    for turn in range(ROUNDS):
        for i, step in enumerate(steps):
            step()  # wakes caches and threads
            begin = time.perf_counter()
            for _ in range(calls[i]):
                step()
            best[i] = min(best[i], (time.perf_counter() - begin) / calls[i])
            if turn < 3:
                calls[i] = max(1, round(SECONDS / best[i]))
    return [seconds * 1e3 for seconds in best]


def measure(row: Row, shape: Shape) -> tuple[float, float]:
    """Return the milliseconds of deepfs and of PyTorch, after a check that they agree."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal(shape, np.float32)
    dy = rng.standard_normal(row.make()(x).shape, np.float32)
    steps = [ours(row, x, dy)]
    steps += [theirs(row, x, dy, layout) for layout in ("contiguous_format", "channels_last")]
    for step in steps[1:] if not row.drawn else ():
        for mine, other in zip(steps[0](), step(), strict=True):
            assert np.allclose(mine, other, rtol=1e-4, atol=1e-4), f"{row.layer} differs"
    mine, *peers = least(steps)
    return mine, min(peers)


def main() -> None:
    """Measure and print what the command line asks for."""
    import torch

    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--threads", nargs="+", type=positive, default=[1], metavar="N")
    parser.add_argument("--only", nargs="+", default=[""], metavar="PART",
                        help="layers with one of these in their name")  # fmt: skip
    args = parser.parse_args()
    git = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
    print("{cpu}, {processors} processors, instruction set {level}".format(**machine()))
    print(f"commit {commit or 'unknown'}, PyTorch {torch.__version__}")
    for threads in args.threads:
        dfs.set_num_threads(threads)
        torch.set_num_threads(threads)
        print(f"\n{f'threads: {threads}':20}{'shape':>18}{'deepfs':>9}{'PyTorch':>9}{'ratio':>7}")
        for row in ROWS:
            for shape in row.shapes if any(part in row.layer for part in args.only) else ():
                mine, peer = measure(row, shape)
                name = " x ".join(map(str, shape))
                print(
                    f"{row.layer:20}{name:>18}{mine:9.3f}{peer:9.3f}{peer / mine:7.2f}", flush=True
                )


if __name__ == "__main__":
    main()
