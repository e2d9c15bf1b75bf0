"""Time optimizer steps: against the speed of a copy, and deepfs against PyTorch.

    python benchmarks/bench_optimizers.py --threads 1 2

Two cases, float32: *large*, one array of 10 million parameters, where a step can be no faster than
its arrays come from memory; *small*, the 270,000 parameters of a ResNet-20 cut into 200 arrays,
where what counts is how many calls a step takes. An absolute time on a shared machine means
nothing, so, as in compare.py:

- **Correctness first.** Both get the same weights and gradients, and must end at the same weights.
- **Separate processes**, so that neither thread pools nor OpenMP libraries meet.
- **Alternating rounds**, in turning order, about 0.1 s of steps each, after one that wakes caches
  and threads. Equal threads, by environment and by each framework's own call.

A ratio is PyTorch's time over deepfs's, the median over rounds, for the PyTorch implementation
that does best: fused=True where there is one, foreach=True, or neither. "of a copy" is bytes moved
per second, each array counted once for being read and once for being written, over those of a copy
of 40 MB, by deepfs's best round and the best copy seen between the rounds. A step that also clears
the gradients is timed next to a step and a clearing after it.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from statistics import median
from typing import Any

import numpy as np

from compare import THREAD_VARIABLES, machine, positive

ROUND = 0.1  # seconds
LARGE = 10_000_000
TOLERANCE = 2e-5

Step = Callable[[int], object]

# deepfs settings; PyTorch class and settings; arrays of state
OPTIMIZERS: dict[str, tuple[dict[str, Any], str, dict[str, Any], int]] = {
    "SGD": ({"lr": 0.01}, "SGD", {"lr": 0.01}, 0),
    "Momentum": (
        {"lr": 0.01, "form": "torch"},
        "SGD",
        {"lr": 0.01, "momentum": 0.9},
        1,
    ),
    "AdaGrad": ({"lr": 0.01, "eps": 1e-7}, "Adagrad", {"lr": 0.01, "eps": 1e-7}, 1),
    "RMSProp": ({"lr": 1e-3}, "RMSprop", {"lr": 1e-3, "alpha": 0.9, "eps": 1e-7}, 1),
    "Adam": ({"lr": 1e-3}, "Adam", {"lr": 1e-3}, 2),
    "AdamW": ({"lr": 1e-3, "weight_decay": 0.01}, "AdamW", {"lr": 1e-3, "weight_decay": 0.01}, 2),
    "AMSGrad": ({"lr": 1e-3, "amsgrad": True}, "Adam", {"lr": 1e-3, "amsgrad": True}, 3),
}


def shapes(case: str) -> list[tuple[int, ...]]:
    """Return the shapes of the arrays of a case."""
    if case == "large":
        return [(LARGE // 1000, 1000)]
    wide = [(16, 16, 3, 3)] * 33 + [(32, 32, 3, 3)] * 15 + [(64, 33, 3, 3)] * 7
    return wide + [(16,)] * 85 + [(32,)] * 40 + [(64,)] * 20


def start(case: str) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return weights and gradients."""
    rng = np.random.default_rng(0)
    return tuple(
        [rng.standard_normal(shape, np.float32) for shape in shapes(case)] for _ in range(2)
    )


class Deepfs:
    """One arena, one kernel call."""

    variants = ("arena", "arena, then cleared", "arena, cleared in the pass")

    def __init__(self, threads: int) -> None:
        import deepfs as dfs

        self.dfs = dfs
        dfs.set_num_threads(threads)

    def prepare(self, case: str, name: str, variant: str) -> tuple[Step, list[np.ndarray]]:
        """Return a function that takes a step, and views of the weights."""
        from deepfs.layers import Parameter

        settings = OPTIMIZERS[name][0]
        optimizer = getattr(self.dfs.optimizers, name.replace("AMSGrad", "Adam"))(**settings)
        w, g = start(case)
        parameters = {f"p{i}.weight": Parameter(value) for i, value in enumerate(w)}
        for parameter, gradient in zip(parameters.values(), g, strict=True):
            parameter.grad = gradient
        arena = self.dfs.optimizers.Arena(parameters)
        state = optimizer.init(arena.values)
        plan = optimizer.plan(arena.spans)
        clear = variant == "arena, cleared in the pass"

        def step(t: int) -> None:
            optimizer.step(arena.values, arena.grads, state, t, plan, clear=clear)
            if variant == "arena, then cleared":
                arena.grads.fill(0)

        return step, [p.value for p in parameters.values()]

    def copy(self) -> float:
        """Return the bytes per second of a copy, read and written."""
        a, b = np.ones(LARGE, np.float32), np.empty(LARGE, np.float32)
        threads = self.dfs.get_num_threads()
        cuts = np.linspace(0, LARGE, threads + 1).astype(int)
        best = 1e9
        with ThreadPoolExecutor(threads) as pool:
            for _ in range(10):
                begin = time.perf_counter()
                list(
                    pool.map(
                        lambda i: np.copyto(b[cuts[i] : cuts[i + 1]], a[cuts[i] : cuts[i + 1]]),
                        range(threads),
                    )
                )
                best = min(best, time.perf_counter() - begin)
        return 2 * a.nbytes / best


class Torch:
    """The optimizer as PyTorch has it, in each of its implementations."""

    variants = ("fused", "foreach", "for loop")

    def __init__(self, threads: int) -> None:
        import torch

        self.torch = torch
        torch.set_num_threads(threads)

    def prepare(self, case: str, name: str, variant: str) -> tuple[Step, list[np.ndarray]]:
        """Return a function that takes a step, and views of the weights."""
        _, kind, settings, _ = OPTIMIZERS[name]
        w, g = start(case)
        parameters = [self.torch.tensor(value, requires_grad=True) for value in w]
        for parameter, gradient in zip(parameters, g, strict=True):
            parameter.grad = self.torch.tensor(gradient)
        how = {"fused": {"fused": True}, "foreach": {"foreach": True}, "for loop":
               {"foreach": False}}[variant]  # fmt: skip
        groups = [
            {"params": [p for p in parameters if p.ndim > 1]},
            {"params": [p for p in parameters if p.ndim == 1], "weight_decay": 0},  # as deepfs
        ]
        optimizer = getattr(self.torch.optim, kind)(
            [group for group in groups if group["params"]], **settings, **how
        )
        return lambda t: optimizer.step(), [p.detach().numpy() for p in parameters]


class Bench:
    """What a worker does; each method answers one request."""

    def __init__(self, name: str, threads: int) -> None:
        self.framework: Any = FRAMEWORKS[name](threads)
        self.steps: dict[str, Step] = {}
        self.t = 3

    def begin(self, case: str, name: str, variant: str) -> list[np.ndarray] | None:
        """Build, take three steps; return the weights, or None if there is no such variant."""
        try:
            step, weights = self.framework.prepare(case, name, variant)
            for t in (1, 2, 3):
                step(t)
        except (RuntimeError, TypeError, ValueError):
            return None
        self.steps[variant] = step
        return [value.copy() for value in weights]

    def round(self, variant: str) -> float:
        """Return milliseconds of a step."""
        step, steps, elapsed = self.steps[variant], 0, 0.0
        step(self.t)
        begin = time.perf_counter()
        while elapsed < ROUND or steps < 3:
            self.t += 1
            step(self.t)
            steps += 1
            elapsed = time.perf_counter() - begin
        return elapsed / steps * 1e3

    def copy(self) -> float:
        """Return the bytes per second of a copy."""
        return self.framework.copy()


FRAMEWORKS = {"deepfs": Deepfs, "torch": Torch}


def serve(pipe: Connection, name: str, threads: int) -> None:
    """Answer requests until the driver hangs up."""
    bench = Bench(name, threads)
    while request := pipe.recv():
        pipe.send(getattr(bench, request[0])(*request[1:]))


def start_worker(name: str, threads: int) -> tuple[Callable[..., Any], Callable[[], None]]:
    """Start a process with one framework; return what asks it and what ends it."""
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))
    context = multiprocessing.get_context("spawn")
    pipe, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs, name, threads), daemon=True)
    process.start()
    theirs.close()

    def ask(*request: Any) -> Any:
        pipe.send(request)
        return pipe.recv()

    def end() -> None:
        pipe.send(None)
        process.join()

    return ask, end


def measure(case: str, name: str, threads: int, rounds: int) -> dict[str, Any]:
    """Return the row of one optimizer."""
    here = ["deepfs"] + ["torch"] * (importlib.util.find_spec("torch") is not None)
    workers = {framework: start_worker(framework, threads) for framework in here}
    runs: dict[str, Callable[..., Any]] = {}
    right = None
    for framework in here:
        ask = workers[framework][0]
        for variant in FRAMEWORKS[framework].variants:
            weights = ask("begin", case, name, variant)
            right = weights if right is None else right
            if weights is None:
                continue
            runs[variant] = ask
            if "clear" not in variant:
                error = max(float(np.abs(a - b).max()) for a, b in zip(weights, right, strict=True))
                assert error < TOLERANCE, f"{name}, {variant}: off by {error}"
    times: dict[str, list[float]] = {variant: [] for variant in runs}
    speed, turn = 0.0, [*runs]
    for _ in range(rounds):
        for variant in turn:
            times[variant].append(runs[variant]("round", variant))
        speed = max(speed, runs["arena"]("copy"))
        turn.append(turn.pop(0))
    for _, end in workers.values():
        end()
    count = sum(int(np.prod(shape)) for shape in shapes(case))
    moved = count * 4 * (3 + 2 * OPTIMIZERS[name][3])
    peers = [variant for variant in Torch.variants if variant in times]
    row: dict[str, Any] = {
        "case": case,
        "optimizer": name,
        "threads": threads,
        "ms": {variant: median(found) for variant, found in times.items()},
        "copy_gbs": speed / 1e9,
        "of_a_copy": moved / (min(times["arena"]) / 1e3) / speed,
    }
    if peers:
        best = min(peers, key=lambda variant: median(times[variant]))
        pairs = zip(times[best], times["arena"], strict=True)
        row |= {"best_peer": best, "ratio": median(theirs / ours for theirs, ours in pairs)}
        if "fused" in times:
            pairs = zip(times["fused"], times["arena"], strict=True)
            row["ratio_to_fused"] = median(theirs / ours for theirs, ours in pairs)
    return row


def main() -> int:
    """Measure and print what the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cases", nargs="+", choices=("large", "small"),
                        default=["large", "small"])  # fmt: skip
    parser.add_argument("--optimizers", nargs="+", choices=OPTIMIZERS, default=[*OPTIMIZERS])
    parser.add_argument("--threads", nargs="+", type=positive, default=[1])
    parser.add_argument("--rounds", type=positive, default=7)
    parser.add_argument("--json", help="write the figures to this file, too")
    options = parser.parse_args()
    print(machine())
    rows = []
    print(f"{'case':6} {'optimizer':9} {'threads':>7} {'ms':>7} {'+ clear':>8} {'clearing':>8} "
          f"{'of a copy':>9} {'PyTorch, best':>20} {'ratio':>6}")  # fmt: skip
    for case in options.cases:
        for threads in options.threads:
            for name in options.optimizers:
                row = measure(case, name, threads, options.rounds)
                rows.append(row)
                ms = row["ms"]
                best = row.get("best_peer")
                peer = f"{best} {ms[best]:.3f}" if best else "-"
                ratio = f"{row['ratio']:.2f}" if best else "-"
                share = f"{row['of_a_copy']:.0%}" if case == "large" else "-"
                a, b, c = (ms[variant] for variant in Deepfs.variants)
                print(f"{case:6} {name:9} {threads:7} {a:7.3f} {b:8.3f} {c:8.3f} {share:>9} "
                      f"{peer:>20} {ratio:>6}", flush=True)  # fmt: skip
    if options.json:
        with open(options.json, "w") as file:
            json.dump({"machine": machine(), "rows": rows}, file, indent=2)
    return 0


if __name__ == "__main__":
    sys.exit(main())
