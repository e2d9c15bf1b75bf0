"""Time single convolution layers, deepfs against PyTorch: forward and both gradients.

    python benchmarks/bench_conv.py --shapes vgg deep-2 depthwise --threads 1 2

An absolute time on a shared machine means nothing, so everything here serves the ratio, as in
compare.py:

- **Correctness first.** All get the same arrays. Results must be within TOLERANCE of deepfs's
  direct sums in float64, the largest error over the largest value, and the errors are printed.
  (With --dtype float64 that is deepfs itself, and PyTorch's errors are the check.)
- **Separate processes**, one each for deepfs, PyTorch in its default layout, and PyTorch
  channels-last: neither thread pools nor OpenMP libraries meet.
- **Alternating rounds**, about 0.1 s of calls each, after one that wakes caches and threads. All
  frameworks do one round, then the next, in turning order.
- **Equal threads**, by environment and by each framework's own call.

A call takes its operands in the framework's own layout and makes the arrays of its results, bias
and its gradient included, as a layer does. The convolution is the layer's: Winograd's algorithm
where Conv2D would choose it.

A ratio is PyTorch's time over deepfs's, the median over rounds, for the layout that does better;
next to it the ratio of the best rounds. GFLOP/s is effective: the multiply-adds of the direct sum,
times 2, whatever algorithm runs, by deepfs's best round. The peak is the best matrix product of 512
seen between the rounds. The bound is what memory allows, in GFLOP/s: each array is read or written
once, at the rate of the best copy of 64 MB; arrays that are still in a cache beat it. The first
layers of the networks never need an input gradient; it is timed all the same. The last lines add
the medians of all passes up, once for each number of threads.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from multiprocessing.connection import Connection
from statistics import geometric_mean, median
from typing import Any, NamedTuple

import numpy as np

from compare import THREAD_VARIABLES, Server, machine, parsed, positive
from frameworks import Array

PASSES = ("forward", "input gradient", "weight gradient")
TOLERANCE = {"float32": 1e-4, "float64": 1e-12}
ROUND = 0.1  # seconds


class Shape(NamedTuple):
    """A convolution of square images: what a call needs to know but for the arrays."""

    channels: int
    size: int
    filters: int
    kernel: int = 3
    padding: int = 1
    stride: int = 1
    dilation: int = 1
    groups: int = 1

    def __str__(self) -> str:
        words = f"{self.channels} -> {self.filters}, {self.kernel}x{self.kernel}"
        for name in ("stride", "dilation", "groups"):
            if getattr(self, name) > 1:
                words += f", {name} {getattr(self, name)}"
        return f"{words}, {self.size}x{self.size} padded by {self.padding}"

    @property
    def out_size(self) -> int:
        """Return the height and width of the output."""
        extent = self.dilation * (self.kernel - 1) + 1
        return (self.size + 2 * self.padding - extent) // self.stride + 1

    def operations(self, batch: int) -> int:
        """Return multiply-adds times 2 of any of the three passes."""
        sums = batch * self.out_size**2 * self.filters
        return 2 * sums * self.kernel**2 * self.channels // self.groups

    def numbers(self, batch: int) -> int:
        """Return how many numbers images, outputs and weights have."""
        weight = self.filters * self.channels // self.groups * self.kernel**2
        return batch * (self.size**2 * self.channels + self.out_size**2 * self.filters) + weight


SHAPES = {
    "simple": Shape(1, 28, 30, kernel=5, padding=0),
    "lenet-1": Shape(1, 28, 6, kernel=5, padding=2),
    "lenet-2": Shape(6, 14, 16, kernel=5, padding=0),
    "deep-1": Shape(1, 28, 16),
    "deep-2": Shape(16, 28, 16),
    "deep-3": Shape(16, 14, 32),
    "deep-4": Shape(32, 14, 32, padding=2),
    "deep-5": Shape(32, 8, 64),
    "deep-6": Shape(64, 8, 64),  # and the last blocks of resnet20
    "resnet20-1": Shape(3, 32, 16),
    "resnet20-2": Shape(16, 32, 16),
    "resnet20-3": Shape(16, 32, 32, stride=2),
    "resnet20-4": Shape(16, 32, 32, kernel=1, padding=0, stride=2),
    "resnet20-5": Shape(32, 16, 32),
    "resnet20-6": Shape(32, 16, 64, stride=2),
    "resnet20-7": Shape(32, 16, 64, kernel=1, padding=0, stride=2),
    "vgg-1": Shape(3, 32, 64),
    "vgg-2": Shape(64, 32, 64),
    "vgg-3": Shape(64, 16, 128),
    "vgg-4": Shape(128, 16, 128),
    "vgg-5": Shape(128, 8, 256),
    "vgg-6": Shape(256, 8, 256),
    "cifar10-1": Shape(24, 32, 64),  # of recipes.cifar10(0.9), whose batches have 500 images
    "cifar10-2": Shape(64, 16, 64),
    "cifar10-3": Shape(64, 16, 256),
    "cifar10-4": Shape(256, 8, 256),
    "cifar10-5": Shape(256, 8, 256),
    "cifar10-6": Shape(256, 4, 256),
    "1x1-16": Shape(16, 32, 16, kernel=1, padding=0),
    "1x1-32": Shape(32, 32, 32, kernel=1, padding=0),
    "1x1-64": Shape(64, 16, 64, kernel=1, padding=0),
    "1x1-128": Shape(128, 16, 128, kernel=1, padding=0),
    "1x1-256": Shape(256, 8, 256, kernel=1, padding=0),
    "5x5": Shape(32, 16, 32, kernel=5, padding=2),
    "stride": Shape(64, 32, 64, stride=2),
    "dilation": Shape(32, 28, 32, padding=2, dilation=2),
    "groups": Shape(64, 16, 64, groups=4),
    "depthwise": Shape(64, 32, 64, groups=64),
}


def operands(shape: Shape, batch: int, dtype: str) -> dict[str, Array]:
    """Return random arrays as deepfs keeps them: channels last."""
    rng = np.random.default_rng(0)
    inputs, out, filters = shape.channels // shape.groups, shape.out_size, shape.filters
    shapes = {
        "x": (batch, shape.size, shape.size, shape.channels),
        "weight": (shape.kernel, shape.kernel, inputs, filters),
        "bias": (filters,),
        "dy": (batch, out, out, filters),
    }
    arrays = {name: rng.standard_normal(size).astype(dtype) for name, size in shapes.items()}
    arrays["weight"] *= math.sqrt(2 / (inputs * shape.kernel**2))
    return arrays


class DeepFS:
    """The kernels, called as Conv2D calls them."""

    package = "deepfs"

    def __init__(self, shape: Shape, arrays: dict[str, Array], threads: int) -> None:
        import deepfs as dfs
        from cnn_core import conv
        from deepfs.layers import empty

        dfs.set_num_threads(threads)
        self.kernels, self.empty, s = conv, empty, shape
        layer = dfs.layers.Conv2D(s.filters, s.kernel, s.stride, s.padding, s.dilation, s.groups)
        image = (s.channels, s.size, s.size)
        layer.build(image, arrays["x"].dtype)
        self.algorithm = layer.algorithm_for(image)
        self.window = (
            *(s.stride, s.stride, s.padding, s.padding, s.dilation, s.dilation, s.groups),
            layer.algorithm,
        )
        self.x, self.weight, self.bias, self.dy = arrays.values()
        self.dweight, self.dbias = np.zeros_like(self.weight), np.zeros_like(self.bias)

    def forward(self) -> Array:
        y = self.empty(self.dy.shape, self.dy.dtype)
        self.kernels.conv2d_forward(self.x, self.weight, self.bias, y, *self.window)
        return y

    def input_gradient(self) -> Array:
        dx = self.empty(self.x.shape, self.x.dtype)
        self.kernels.conv2d_backward_input(self.dy, self.weight, dx, *self.window)
        return dx

    def weight_gradient(self) -> None:
        self.kernels.conv2d_backward_weight(self.x, self.dy, self.dweight, self.dbias, *self.window)

    def results(self) -> list[Array]:
        """Return y, dx and the gradients of weight and bias, laid out like the operands."""
        self.dweight[:], self.dbias[:] = 0, 0
        self.weight_gradient()
        return [self.forward(), self.input_gradient(), self.dweight, self.dbias]


class Torch:
    """PyTorch's own operators, in its default layout; autograd would call the same ones."""

    package = "torch"
    layout = "contiguous_format"

    def __init__(self, shape: Shape, arrays: dict[str, Array], threads: int) -> None:
        import torch

        torch.set_num_threads(threads)
        self.algorithm = self.layout
        layout = {"memory_format": getattr(torch, self.layout)}
        x, weight, bias, dy = map(torch.from_numpy, arrays.values())
        self.x, self.dy = (a.permute(0, 3, 1, 2).contiguous(**layout) for a in (x, dy))
        self.weight, self.bias = weight.permute(3, 2, 0, 1).contiguous(**layout), bias
        pair = ([k, k] for k in (shape.stride, shape.padding, shape.dilation))
        self.settings = (*pair, False, [0, 0], shape.groups)
        self.operators = torch.ops.aten

    def forward(self) -> Any:
        return self.operators.convolution(self.x, self.weight, self.bias, *self.settings)

    def _gradients(self, wanted: list[bool]) -> Any:
        operands = (self.dy, self.x, self.weight, [len(self.bias)])
        return self.operators.convolution_backward(*operands, *self.settings, wanted)

    def input_gradient(self) -> Any:
        return self._gradients([True, False, False])

    def weight_gradient(self) -> Any:
        return self._gradients([False, True, True])

    def results(self) -> list[Array]:
        dx, dweight, dbias = self._gradients([True, True, True])
        y, dx = (a.permute(0, 2, 3, 1).numpy() for a in (self.forward(), dx))
        return [y, dx, dweight.permute(2, 3, 1, 0).numpy(), dbias.numpy()]


class TorchChannelsLast(Torch):
    """The same, images and filters channels-last."""

    layout = "channels_last"


FRAMEWORKS: dict[str, type[DeepFS] | type[Torch]] = {
    "deepfs": DeepFS,
    "torch": Torch,
    "torch-channels-last": TorchChannelsLast,
}


class Bench:
    """Does in a worker what the driver asks; each method answers one request."""

    def __init__(self, name: str, threads: int) -> None:
        self.name, self.threads = name, threads

    def begin(self, shape: Shape, batch: int, dtype: str) -> tuple[str, list[Array]]:
        """Get ready for a shape; return how it is convolved, and the results."""
        self.framework = FRAMEWORKS[self.name](shape, operands(shape, batch, dtype), self.threads)
        return self.framework.algorithm, self.framework.results()

    def round(self, what: str) -> float:
        """Return ms per call, after one that wakes caches and threads."""
        call = getattr(self.framework, what.replace(" ", "_"))
        call()
        calls, start = 0, time.perf_counter()
        while (elapsed := time.perf_counter() - start) < ROUND:
            call()
            calls += 1
        return elapsed / calls * 1e3

    def peak(self, dtype: str) -> float:
        """Return GFLOP/s of a matrix product."""
        return Server("deepfs").peak(dtype)

    def copy(self) -> float:
        """Return GB/s of a copy of 64 MB, read and written."""
        x = np.ones(1 << 23)
        y = np.empty_like(x)
        np.copyto(y, x)
        start = time.perf_counter()
        np.copyto(y, x)
        return 2 * x.nbytes / (time.perf_counter() - start) / 1e9


def serve(pipe: Connection, name: str, threads: int) -> None:
    """Answer requests, a method of Bench and its arguments each, until the driver hangs up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the driver ends its workers
    bench = Bench(name, threads)
    while request := pipe.recv():
        try:
            pipe.send((getattr(bench, request[0])(*request[1:]), None))
        except Exception as error:
            pipe.send((None, f"{type(error).__name__}: {error}"))


class Worker:
    """A process with one framework."""

    def __init__(self, name: str, threads: int) -> None:
        self.name = name
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(theirs, name, threads), daemon=True)
        self.process.start()
        theirs.close()

    def ask(self, *request: Any) -> Any:
        """Send a request, wait for the answer; raise RuntimeError if it is an error."""
        try:
            self.pipe.send(request)
            answer, error = self.pipe.recv()
        except (EOFError, OSError):
            answer, error = None, "it ended without a word"
        if error is not None:
            raise RuntimeError(f"{self.name}, {request[0]}: {error}".splitlines()[0])
        return answer


@contextmanager
def started(names: list[str], threads: int) -> Iterator[dict[str, Worker]]:
    """Give workers by name, with that many threads each, and end them afterwards."""
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))  # which they inherit
    workers: dict[str, Worker] = {}
    try:
        for name in names:
            workers[name] = Worker(name, threads)
        yield workers
    finally:
        for worker in workers.values():
            worker.process.terminate()
            worker.process.join()


def errors(results: list[Array], right: list[Array]) -> dict[str, float]:
    """Return the largest error over the largest value, by pass."""
    found = [
        float(np.abs(a - b).max() / np.abs(b).max()) for a, b in zip(results, right, strict=True)
    ]
    return dict(zip(PASSES, [*found[:2], max(found[2:])], strict=True))


def run(
    name: str, workers: dict[str, Worker], args: argparse.Namespace, threads: int
) -> list[dict[str, Any]]:
    """Check and time one shape; return a result per pass."""
    shape, names = SHAPES[name], list(workers)
    exact = operands(shape, args.batch, args.dtype)
    exact = {key: value.astype("float64") for key, value in exact.items()}
    right = DeepFS(shape, exact, threads).results()
    algorithms, wrong = {}, {}
    for kind, worker in workers.items():
        algorithms[kind], results = worker.ask("begin", shape, args.batch, args.dtype)
        wrong[kind] = errors(results, right)
        if not max(wrong[kind].values()) <= TOLERANCE[args.dtype]:
            raise RuntimeError(f"{kind} computes something else: errors {wrong[kind]}")
    rounds: dict[str, dict[str, list[float]]] = {what: {k: [] for k in names} for what in PASSES}
    peak = copy = 0.0
    for i in range(args.rounds):
        copy = max(copy, workers["deepfs"].ask("copy"))
        peak = max(peak, workers["deepfs"].ask("peak", args.dtype))
        for what, kind in product(PASSES, names[:: -1 if i % 2 else 1]):
            rounds[what][kind].append(workers[kind].ask("round", what))
    key = {"shape": name, "batch": args.batch, "threads": threads, "dtype": args.dtype}
    key |= shape._asdict() | {"algorithm": algorithms["deepfs"], "peak_gflops": peak}
    moved = shape.numbers(args.batch) * np.dtype(args.dtype).itemsize
    key["bound_gflops"] = copy * shape.operations(args.batch) / moved
    return [
        key
        | {"pass": what, "errors": {kind: wrong[kind][what] for kind in names}}
        | summary(rounds[what], shape.operations(args.batch))
        for what in PASSES
    ]


def summary(rounds: dict[str, list[float]], operations: int) -> dict[str, Any]:
    """Return what the rounds of one pass say."""
    ours = rounds["deepfs"]
    found: dict[str, Any] = {
        "median_ms": {kind: median(ms) for kind, ms in rounds.items()},
        "best_ms": {kind: min(ms) for kind, ms in rounds.items()},
        "gflops": operations / min(ours) / 1e6,
        "rounds_ms": rounds,
    }
    peers = {kind: ms for kind, ms in rounds.items() if kind != "deepfs"}
    if peers:
        found["ratio"] = min(
            median(a / b for a, b in zip(ms, ours, strict=True)) for ms in peers.values()
        )
        found["ratio_best"] = min(map(min, peers.values())) / min(ours)
    return found


def print_results(results: list[dict[str, Any]]) -> None:
    """Print a line per pass of one shape."""
    shape = SHAPES[results[0]["shape"]]
    where = "{algorithm}, batch {batch}, threads {threads}, {dtype}".format(**results[0])
    print(f"{results[0]['shape']}: {shape}; {where}")
    for r in results:
        times = zip(r["median_ms"].values(), r["best_ms"].values(), strict=True)
        line = "".join(f"{middle:11.3f}{best:9.3f}" for middle, best in times)
        line += f"{r['ratio']:8.2f}{r['ratio_best']:8.2f}" if "ratio" in r else ""
        share = 100 * r["gflops"] / r["peak_gflops"]
        line += f"{r['gflops']:10.1f}{share:11.0f}{r['bound_gflops']:7.0f}"
        print(f"  {r['pass']:<15}{line}" + "".join(f"{e:9.1e}" for e in r["errors"].values()))
    sys.stdout.flush()


def print_total(results: list[dict[str, Any]]) -> None:
    """Print what all passes took together, as if they were one network."""
    if len(results) <= len(PASSES):
        return
    operations = sum(r["gflops"] * r["best_ms"]["deepfs"] for r in results)
    times = {kind: sum(r["median_ms"][kind] for r in results) for kind in results[0]["median_ms"]}
    told = ", ".join(f"{k} {ms:.1f} ms, {operations / ms:.0f} GFLOP/s" for k, ms in times.items())
    print(f"all passes, threads {results[0]['threads']}: {told}")


def print_head(names: list[str]) -> None:
    """Print what the columns are."""
    times = f"{'median ms':>11}{'best ms':>9}" * len(names)
    ratios = f"{'ratio':>8}{'(best)':>8}" if len(names) > 1 else ""
    print(" " * 17 + "".join(f"{name:>20}" for name in names))
    print(f"{' ' * 17}{times}{ratios}{'GFLOP/s':>10}{'% of peak':>11}{'bound':>7}  errors of each")


def arguments() -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").partition("\n")[0],
        epilog="A ratio is PyTorch's time over deepfs's: above 1, deepfs is faster.",
    )
    add = parser.add_argument
    add("--shapes", nargs="+", default=list(SHAPES), metavar="NAME",
        help=f"any of {', '.join(SHAPES)}, or what is before a hyphen; all by default")  # fmt: skip
    add("--batch", type=positive, default=100, metavar="N", help="images (%(default)s)")
    add("--threads", nargs="+", type=positive, default=[1], metavar="N", help="of every framework")
    add("--dtype", choices=tuple(TOLERANCE), default="float32", help="%(default)s by default")
    add("--rounds", type=positive, default=7, help="of about 0.1 s, per pass (%(default)s)")
    args = parsed(parser)
    found = []
    for given in args.shapes:
        fit = [name for name in SHAPES if given in (name, name.rpartition("-")[0])]
        if not fit:
            parser.error(f"--shapes must be names of convolutions, got {given!r}")
        found += fit
    args.shapes = list(dict.fromkeys(found))
    return args


def main() -> int:
    """Run all shapes; return the exit status."""
    args = arguments()
    names = [n for n, kind in FRAMEWORKS.items() if importlib.util.find_spec(kind.package)]
    if "torch" not in names:
        print("torch: not installed")
    report: dict[str, Any] = {"machine": machine(), "results": []}
    print("{cpu}, {processors} processors, instruction set {level}".format(**report["machine"]))
    print_head(names)
    status = 0
    try:
        for threads in args.threads:
            with started(names, threads) as workers:
                for name in args.shapes:
                    try:
                        results = run(name, workers, args, threads)
                    except RuntimeError as error:
                        print(f"{name}, {threads} threads: {error}", file=sys.stderr)
                        status = 1
                        continue
                    print_results(results)
                    report["results"] += results
    except KeyboardInterrupt:
        print("bench_conv.py: interrupted", file=sys.stderr)
        status = 130
    for what in PASSES:
        ratios = [r["ratio"] for r in report["results"] if r["pass"] == what and "ratio" in r]
        if len(ratios) > 1:
            print(f"{what}: geometric mean of {len(ratios)} ratios {geometric_mean(ratios):.2f}")
    for threads in args.threads:
        print_total([r for r in report["results"] if r["threads"] == threads])
    if args.json:
        args.json.write_text(json.dumps(report, indent=1) + "\n")
    return status


if __name__ == "__main__":
    raise SystemExit(main())
