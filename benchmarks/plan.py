"""Compare `Model.plan` with training: memory and time of six networks.

    python benchmarks/plan.py [NAME ...]

Each network is trained in a process of its own, on random numbers, and planned in another. Memory
is the growth of the resident set over that of a process which has trained another network, so that
libraries and threads are there already. The time is the median of three epochs of one run; plans
are made between them, because other processes may take a part of the processor. Linux only.
"""

from __future__ import annotations

import argparse
import gc
import json
import subprocess
import sys
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np

import deepfs as dfs
from cnn_core import memory

GRAY, COLOUR = (1, 28, 28), (3, 32, 32)
SHAPES = {
    "mlp": GRAY, "simple_convnet": GRAY, "deep_convnet": GRAY, "lenet5": GRAY,
    "vgg_small": COLOUR, "resnet20": COLOUR,
}  # fmt: skip
STEPS = {"mlp": 1000, "lenet5": 200, "simple_convnet": 100, "deep_convnet": 40}  # others: 6
EPOCHS = 3


def model_of(network: dfs.layers.Layer) -> dfs.Model:
    """Return the model that is trained."""
    return dfs.Model(network, dfs.losses.CrossEntropy(), dfs.optimizers.Adam())


def data_of(name: str, batch_size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return random images and labels for an epoch."""
    samples, numbers = STEPS.get(name, 6) * batch_size, np.random.default_rng(0)
    x = numbers.random((min(samples, 20_000), *SHAPES[name]), dtype=np.float32)
    return x, numbers.integers(0, 10, len(x))


def status(key: str) -> int:
    """Return an entry of the status of this process, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(key))


def measured_memory(name: str, batch_size: int) -> int:
    """Return how far a training makes the resident set grow at its peak."""
    x, y = data_of(name, batch_size)
    net = dfs.layers.Sequential([dfs.layers.Conv2D(2, 3), dfs.layers.BatchNorm(),
                                 dfs.layers.ReLU(), dfs.layers.Dense(10)])  # fmt: skip
    model_of(net).fit(x[:64], y[:64], 8, verbose=0)
    del net
    gc.collect()
    memory.release()
    model = model_of(getattr(dfs.networks, name)())
    before = status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    model.fit(x, y, batch_size, epochs=2, verbose=0)
    return status("VmHWM") - before


def planned_memory(name: str, batch_size: int) -> int:
    """Return the peak that is planned."""
    model = model_of(getattr(dfs.networks, name)())
    return model.plan(batch_size, in_shape=SHAPES[name]).peak_bytes


class Both(dfs.callbacks.Callback):
    """Times each epoch, and plans after it."""

    def __init__(self, batch_size: int, samples: int) -> None:
        self.asked = batch_size, samples
        self.planned: list[float] = []
        self.measured: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: dict[str, float]) -> None:
        self.start = perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        self.measured.append(perf_counter() - self.start)
        self.planned.append(self.model.plan(*self.asked).epoch_seconds)


def times(name: str, batch_size: int) -> tuple[float, float]:
    """Return the time of an epoch as planned and as it is: medians of one run."""
    x, y = data_of(name, batch_size)
    model = model_of(getattr(dfs.networks, name)())
    both = Both(batch_size, len(x))
    model.fit(x, y, batch_size, epochs=EPOCHS + 1, verbose=0, callbacks=[both])
    return median(both.planned[1:]), median(both.measured[1:])  # the first epoch also builds


MEASURES = {"measured": measured_memory, "planned": planned_memory, "times": times}


def fresh(what: str, name: str, batch_size: int) -> object:
    """Return a measure, taken in a process of its own."""
    command = [sys.executable, __file__, "--measure", what, "--batch-size", str(batch_size), name]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("networks", nargs="*", default=list(SHAPES), metavar="NAME")
    parser.add_argument("--batch-size", type=int, default=100)
    parser.add_argument("--measure", choices=MEASURES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(MEASURES[options.measure](options.networks[0], options.batch_size)))
        return
    print(f"batches of {options.batch_size}, {dfs.get_num_threads()} threads\n")
    print("| network | planned MB | measured MB | ratio | planned s | measured s | ratio |")
    print("|---|---|---|---|---|---|---|")
    for name in options.networks:
        sizes = [fresh(what, name, options.batch_size) / 1e6 for what in ("planned", "measured")]
        seconds = fresh("times", name, options.batch_size)
        cells = [name]
        for (planned, real), digits in ((sizes, 1), (seconds, 3)):
            cells += [f"{planned:.{digits}f}", f"{real:.{digits}f}", f"{planned / real:.2f}"]
        print("|", " | ".join(cells), "|", flush=True)


if __name__ == "__main__":
    main()
