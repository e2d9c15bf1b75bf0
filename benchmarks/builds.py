"""Compare two builds of deepfs, an old one and this one, to find what has become slower.

`compare.py --against OTHER_BUILD` runs it. Both builds are measured by this file, through public
names alone, in pairs of processes that take turns: one of the old build and one of this, then one
of this and one of the old. A process measures every row once, in random order, by the best of
several short rounds; a ratio is old time over new time in one pair, so that what slows down the
machine for a while hits both. Of the ratios of a row, their median counts, and an interval that
holds the true median with a confidence of 95 %, whatever their distribution: between two of the
sorted ratios, by the binomial distribution (the sign test).

A row whose interval lies below `SLOWER` is measured on to `MAX_PAIRS` pairs. It is slower if its
interval lies below `SLOWER` then, too. Of 100 rows that have not changed, the interval of one lies
below 1 by chance, hardly ever below `SLOWER`.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from frameworks import NETWORKS, build

SLOWER = 0.98  # old time over new time
PAIRS, MAX_PAIRS = 10, 30
MIN_PAIRS = 6  # with fewer, no interval has the confidence
CONFIDENCE = 0.95
SECONDS = 0.2  # per row and process
ROUNDS = 10  # of which the best counts
TREE = Path(__file__).resolve().parents[1]

Step = Callable[[], object]


class Interval(NamedTuple):
    """The median of ratios, and bounds of the true one."""

    median: float
    low: float
    high: float

    @property
    def slower(self) -> bool:
        """Whether all of it says that the new build takes longer."""
        return self.high < SLOWER


def interval(ratios: list[float]) -> Interval:
    """Return the median and its interval.

    The true median lies below the k-th smallest of n ratios with the probability that fewer than k
    of n fair coins show heads, and as often above the k-th largest.
    """
    ranked, n = sorted(ratios), len(ratios)
    k, tail = 0, 0.5**n  # tail: fewer than k + 1 heads
    while 2 * tail <= 1 - CONFIDENCE:
        k += 1
        tail += math.comb(n, k) * 0.5**n
    if k == 0:
        return Interval(median(ranked), -math.inf, math.inf)
    return Interval(median(ranked), ranked[k - 1], ranked[n - k])


def rows(dtype: str) -> dict[str, Callable[[], Step]]:
    """Return what is measured, by name: functions that get ready, and return a step."""
    found: dict[str, Callable[[], Step]] = {}
    for network in ("mlp", "simple", "lenet", "deep", "resnet20"):
        for mode in ("train", "infer"):
            for batch in (100, 1):
                found[f"{network} {mode} {batch}"] = network_row(network, mode, batch, dtype)
    for m, n, k in ((512, 512, 512), (64, 64, 64), (100, 10, 784), (1, 1024, 1024)):
        found[f"gemm {m}x{n}x{k}"] = gemm_row(m, n, k, dtype)
    for name in ("SGD", "Momentum", "AdaGrad", "RMSProp", "Adam", "AdamW", "LAMB", "Lion"):
        for size in (1_000_000, 1_000):
            found[f"{name} step {size}"] = optimizer_row(name, size, dtype)
    for name, layer in layer_rows().items():
        for way in ("forward", "backward"):
            found[f"{name} {way}"] = layer_row(layer, way, dtype)
    return found


def network_row(network: str, mode: str, batch: int, dtype: str) -> Callable[[], Step]:
    def prepare() -> Step:
        import deepfs as dfs

        rng = np.random.default_rng(1)
        net = build(network, dtype)
        model = dfs.Model(net, dfs.losses.CrossEntropy(), dfs.optimizers.Adam(1e-3), metrics=())
        x = rng.random((batch, *NETWORKS[network][1]), dtype)
        y = rng.integers(0, 10, batch)
        labels = [y, (y + 5) % 10]  # contradict each other, so that gradients do not fade

        def train() -> None:
            labels.reverse()
            model.train_on_batch(x, labels[0])

        return train if mode == "train" else lambda: net(x)

    return prepare


def gemm_row(m: int, n: int, k: int, dtype: str) -> Callable[[], Step]:
    def prepare() -> Step:
        from cnn_core import gemm

        rng = np.random.default_rng(0)
        a, b, c = rng.random((m, k), dtype), rng.random((k, n), dtype), np.empty((m, n), dtype)
        return lambda: gemm.gemm(a, b, c)

    return prepare


def optimizer_row(name: str, size: int, dtype: str) -> Callable[[], Step]:
    """Return a step over the arena of a model, as training takes it; gradients stay."""

    def prepare() -> Step:
        import deepfs as dfs

        net = dfs.layers.Dense(size // 100, bias=False, dtype=dtype)
        optimizer = getattr(dfs.optimizers, name)(1e-3)
        model = dfs.Model(net, dfs.losses.MeanSquaredError(), optimizer, metrics=())
        model.train_on_batch(np.zeros((1, 100), dtype), np.zeros((1, size // 100), dtype))
        arena, t = model.arena, 1
        arena.grads[:] = np.random.default_rng(0).standard_normal(size)
        plan = optimizer.plan(arena.spans)

        def step() -> None:
            nonlocal t
            t += 1
            optimizer.step(arena.values, arena.grads, model.state, t, plan, 0)

        return step

    return prepare


def layer_rows() -> dict[str, tuple[Callable[[], Any], tuple[int, ...]]]:
    """Return layers and the shapes of their inputs, by name."""
    from deepfs import layers as L

    image = (32, 32, 16, 16)
    return {
        "conv 3x3 of 32 channels": (lambda: L.Conv2D(32, 3, padding=1), image),
        "conv 5x5 of 1 channel": (lambda: L.Conv2D(8, 5), (32, 1, 28, 28)),
        "conv 3x3 by 2": (lambda: L.Conv2D(32, 3, stride=2, padding=1), image),
        "conv 1x1": (lambda: L.Conv2D(64, 1), image),
        "depthwise 3x3": (lambda: L.DepthwiseConv2D(3, padding=1), image),
        "transposed 2x2": (lambda: L.ConvTranspose2D(16, 2, stride=2), image),
        "dense": (lambda: L.Dense(256), (128, 512)),
        "max pool 2x2": (lambda: L.MaxPool2D(2), image),
        "max pool 3x3": (lambda: L.MaxPool2D(3, 2, padding=1), image),
        "average pool 2x2": (lambda: L.AvgPool2D(2), image),
        "batch norm": (lambda: L.BatchNorm(), image),
        "group norm": (lambda: L.GroupNorm(8), image),
        "layer norm": (lambda: L.LayerNorm(), (128, 512)),
        "relu": (lambda: L.ReLU(), image),
        "gelu": (lambda: L.GELU(), image),
        "softmax": (lambda: L.Softmax(), (128, 100)),
        "dropout": (lambda: L.Dropout(0.5), image),
        "residual": (lambda: L.Residual(L.Identity()), image),
    }


def layer_row(
    row: tuple[Callable[[], Any], tuple[int, ...]], way: str, dtype: str
) -> Callable[[], Step]:
    def prepare() -> Step:
        make, shape = row
        layer, rng = make(), np.random.default_rng(0)
        x = rng.standard_normal(shape).astype(dtype)
        y, cache = layer.forward(x, training=True)
        dy = rng.standard_normal(y.shape).astype(dtype)
        if way == "forward":
            return lambda: layer.forward(x, training=True)
        return lambda: layer.backward(dy, cache)

    return prepare


def best(step: Step, seconds: float) -> float:
    """Return the seconds that a step takes, in the best of the rounds that fit into a time."""
    step()  # wakes caches and threads, and makes what is made once
    start = time.perf_counter()
    step()
    once = max(time.perf_counter() - start, 1e-9)
    steps = max(1, round(seconds / ROUNDS / once))
    found, end = once, time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        for _ in range(steps):
            step()
        found = min(found, (time.perf_counter() - start) / steps)
    return found


def measure() -> None:
    """Answer one request on stdin, in a process of one build: the seconds of rows."""
    request = json.load(sys.stdin)
    import cnn_core
    import deepfs as dfs

    dfs.set_num_threads(request["threads"])
    every = rows(request["dtype"])
    names = every if request["rows"] is None else request["rows"]
    seconds = request["seconds"]
    rng, times, padding = np.random.default_rng(), {}, []
    for name in rng.permutation(list(names)) if seconds else ():
        # where arrays lie in memory can cost 20 %: elsewhere in every process
        padding.append(np.ones(rng.integers(1 << 22), np.uint8))
        times[str(name)] = best(every[name](), seconds)
    answer = {
        "rows": list(every),
        "times": times,
        "package": str(Path(dfs.__file__).resolve().parent),
        "kernels": str(Path(cnn_core.__file__).resolve().parent),
        "level": cnn_core.level,
    }
    print(json.dumps(answer))


class Build:
    """A build: a checkout that was built in place, a virtual environment, or its Python."""

    def __init__(self, path: Path | None) -> None:
        self.python, self.folders = Path(sys.executable), ""
        if path is None and in_place(TREE):
            path = TREE
        if path is None:  # what this Python imports
            self.folders = os.environ.get("PYTHONPATH", "")
        elif path.is_file():
            self.python = path
        elif (path / "bin" / "python").exists():
            self.python = path / "bin" / "python"
        elif in_place(path):
            self.folders = os.pathsep.join(str(path.resolve() / name) for name in ("src", "python"))
        else:
            raise FileNotFoundError(
                f"{path} is neither a checkout built in place (setup.py build_ext --inplace) "
                "nor a virtual environment or its Python"
            )

    def ask(self, names: list[str] | None, seconds: float, threads: int, dtype: str) -> Any:
        """Measure rows in a new process."""
        from compare import THREAD_VARIABLES

        env = os.environ | dict.fromkeys(THREAD_VARIABLES, str(threads))
        env.pop("PYTHONPATH", None)
        if self.folders:
            env["PYTHONPATH"] = self.folders
        request = {"rows": names, "seconds": seconds, "threads": threads, "dtype": dtype}
        done = subprocess.run(
            [self.python, __file__], input=json.dumps(request), env=env, text=True,
            stdout=subprocess.PIPE, check=False,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{self.python} {__file__} failed ({done.returncode}), see above")
        return json.loads(done.stdout)


def in_place(folder: Path) -> bool:
    """Return whether a checkout has compiled kernels in it."""
    compiled = [path.suffix for path in (folder / "src" / "cnn_core").glob("_cpu*")]
    return (folder / "python" / "deepfs").is_dir() and (".so" in compiled or ".pyd" in compiled)


def compare(
    ask: Callable[[bool, list[str]], dict[str, float]], names: list[str], pairs: int
) -> tuple[dict[str, list[float]], dict[str, tuple[float, float]]]:
    """Return the ratios of each row, and its median times in both builds.

    Parameters
    ----------
    ask : function (old, names) -> dict of float
        Measures rows in a new process of the old build, or of the new one.
    names : list of str
        The rows.
    pairs : int
        How many of each; rows that seem slower get `MAX_PAIRS`.
    """
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in names}

    def measured(left: list[str], count: int) -> None:
        for i in range(count):
            first = ask(i % 2 == 0, left)
            second = ask(i % 2 == 1, left)
            old, new = (first, second) if i % 2 == 0 else (second, first)
            for name in left:
                times[name].append((old[name], new[name]))

    def ratios(name: str) -> list[float]:
        return [old / new for old, new in times[name]]

    measured(names, pairs)
    again = [name for name in names if interval(ratios(name)).slower]
    if again and pairs < MAX_PAIRS:
        measured(again, MAX_PAIRS - pairs)
    medians = {
        name: (median(old for old, _ in row), median(new for _, new in row))
        for name, row in times.items()
    }
    return {name: ratios(name) for name in names}, medians


def against(args: Any) -> tuple[list[dict[str, Any]], int]:
    """Compare this build with ``args.against`` and print a row each; return them, and the status.

    Raises
    ------
    FileNotFoundError, RuntimeError, ValueError
        If there is no such build, if it does not run, or if it is this one.
    """
    old, new = Build(args.against), Build(None)
    found: list[dict[str, Any]] = []
    for threads in args.threads:
        there, here = (each.ask(None, 0.0, threads, args.dtype) for each in (old, new))
        if there["kernels"] == here["kernels"]:
            raise ValueError(f"{args.against} is this build itself: {here['kernels']}")
        both = [name for name in here["rows"] if name in there["rows"]]
        names = [name for name in both if any(part in name for part in args.only)]
        if not names:
            raise ValueError(f"no row has {' or '.join(args.only)} in its name: {', '.join(both)}")
        print(f"old: {there['package']}, {there['level']}\nnew: {here['package']}, {here['level']}")
        print(f"threads {threads}, {args.dtype}; ratio: old time over new time, above 1 is faster")
        print(f"  {'row':<34}{'old ms':>10}{'new ms':>10}{'ratio':>8}{'95 % of the median':>20}")

        def ask(of_old: bool, rows: list[str], threads: int = threads) -> dict[str, float]:
            build = old if of_old else new
            times: dict[str, float] = build.ask(rows, args.seconds, threads, args.dtype)["times"]
            return times

        ratios, medians = compare(ask, names, args.pairs)
        for name, row in ratios.items():
            seen = interval(row)
            before, after = (1e3 * seconds for seconds in medians[name])
            print(f"  {name:<34}{before:10.4f}{after:10.4f}{seen.median:8.3f}"
                  f"{seen.low:12.3f}{seen.high:8.3f}{'  SLOWER' * seen.slower}")  # fmt: skip
            found.append({"row": name, "threads": threads, "old_ms": before, "new_ms": after,
                          "ratio": seen.median, "low": seen.low, "high": seen.high,
                          "slower": seen.slower, "ratios": row})  # fmt: skip
        sys.stdout.flush()
    slower = [row["row"] for row in found if row["slower"]]
    print(f"{len(slower)} of {len(found)} rows are slower{': ' * bool(slower)}{', '.join(slower)}")
    return found, int(bool(slower))


if __name__ == "__main__":
    measure()
