"""Train networks with and without `L.Checkpoint`: peak memory, and what a step costs in time.

    python benchmarks/checkpoint.py [NAME ...]

"blocks" puts each residual block, or each convolution, with norm, ReLU and pooling after it into a
checkpoint; "chain" cuts the network into about sqrt(n) parts of sqrt(n) layers (Chen et al. 2016,
arXiv:1604.06174). Memory is the growth of the resident set at its peak, each in a process of its
own, as in ``plan.py``. Time is the processor time of a step, the median of rounds in turns. Weights
after the steps must be equal, bit by bit. Linux only.
"""

from __future__ import annotations

import argparse
import gc
import json
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from math import isqrt
from pathlib import Path
from statistics import median
from time import process_time

import numpy as np

import deepfs as dfs
from cnn_core import memory
from deepfs import layers as L
from plan import COLOUR, SHAPES, model_of, status

STEPS, ROUNDS = 3, 5


def parts(net: L.Sequential, sizes: list[int]) -> L.Sequential:
    """Return the network with checkpoints of so many layers each, but for the last."""
    made, start = [], 0
    for size in sizes[:-1]:
        made.append(L.Checkpoint(net[start : start + size]))
        start += size
    return L.Sequential([*made, *net[start:]])


def chain(net: L.Sequential) -> L.Sequential:
    """Return the network as about sqrt(n) checkpoints of equally many layers."""
    each = isqrt(len(net))
    return parts(net, [min(each, len(net) - start) for start in range(0, len(net), each)])


def blocks(net: L.Sequential) -> L.Sequential:
    """Return the network with a checkpoint up to each ReLU, with the pooling after it."""
    pooled = [isinstance(part, L.MaxPool2D) for part in (*net, L.Identity())]
    ends = [i + 1 for i, part in enumerate(net)
            if pooled[i] or (isinstance(part, L.ReLU) and not pooled[i + 1])]  # fmt: skip
    return parts(net, [end - start for start, end in pairwise([0, *ends, len(net)])])


WAYS: dict[str, Callable[[L.Sequential], L.Sequential]] = {
    "none": lambda net: net, "blocks": blocks, "chain": chain,
}  # fmt: skip


def made(name: str, way: str) -> dfs.Model:
    """Return a model with or without checkpoints."""
    dfs.set_seed(0)
    return model_of(WAYS[way](getattr(dfs.networks, name)()))


def data_of(name: str, batch_size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a batch of random images and labels."""
    numbers = np.random.default_rng(0)
    x = numbers.random((batch_size, *SHAPES.get(name, COLOUR)), dtype=np.float32)
    return x, numbers.integers(0, 10, batch_size)


def peak(name: str, way: str, batch_size: int) -> dict[str, object]:
    """Return how far training makes the resident set grow, and what the weights are then."""
    x, y = data_of(name, batch_size)
    net = L.Sequential([L.Conv2D(2, 3), L.BatchNorm(), L.ReLU(), L.Dense(10)])
    model_of(net).fit(x[:64], y[:64], 8, verbose=0)
    del net
    gc.collect()
    memory.release()
    model = made(name, way)
    before = status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    for _ in range(STEPS):
        model.train_on_batch(x, y)
    grown = status("VmHWM") - before
    weights = [parameter.value for parameter in model.network.parameters().values()]
    return {"peak": grown, "sums": [float(np.abs(each).sum(dtype=np.float64)) for each in weights]}


def seconds(name: str, ways: list[str], batch_size: int) -> dict[str, float]:
    """Return the processor time of a step of each way, measured in turns."""
    x, y = data_of(name, batch_size)
    models = {way: made(name, way) for way in ways}
    times: dict[str, list[float]] = {way: [] for way in ways}
    for number in range(ROUNDS + 1):
        for way, model in models.items():
            begin = process_time()
            model.train_on_batch(x, y)
            if number:  # the first one also builds
                times[way].append(process_time() - begin)
    return {way: median(each) for way, each in times.items()}


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    networks = ["vgg_small", "resnet20", "resnet56"]
    parser.add_argument("networks", nargs="*", default=networks, metavar="NAME")
    parser.add_argument("--batch-size", type=int, default=100)
    parser.add_argument("--peak", choices=WAYS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peak:
        print(json.dumps(peak(options.networks[0], options.peak, options.batch_size)))
        return
    print(f"batches of {options.batch_size}, {dfs.get_num_threads()} threads\n")
    print("| network | checkpoints | peak MB | of that without | s per step | times |")
    print("|---|---|---|---|---|---|")
    for name in options.networks:
        found = {}
        for way in WAYS:
            command = [sys.executable, __file__, "--peak", way, name]
            command += ["--batch-size", str(options.batch_size)]
            result = subprocess.run(command, capture_output=True, text=True, check=True)
            found[way] = json.loads(result.stdout)
        if any(each["sums"] != found["none"]["sums"] for each in found.values()):
            raise SystemExit(f"{name}: the weights differ")
        times = seconds(name, list(WAYS), options.batch_size)
        for way, each in found.items():
            share = each["peak"] / found["none"]["peak"]
            cells = [name, way, f"{each['peak'] / 1e6:.0f}", f"{share:.2f}"]
            cells += [f"{times[way]:.3f}", f"{times[way] / times['none']:.2f}"]
            print("|", " | ".join(cells), "|", flush=True)


if __name__ == "__main__":
    main()
