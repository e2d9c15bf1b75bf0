"""Time steps late in a training beside early ones, to see whether it slows down.

    python benchmarks/long_training.py [--networks mlp simple] [--steps 10000] [--peers torch ...]

A network that fits its data gets gradients that fade, and what Adam keeps of them fades for ever:
into denormal numbers, which take a processor up to a hundred times as long. deepfs's kernels take
them for 0; PyTorch has ``torch.set_flush_denormal(True)`` for that, here ``torch-flush``.

Each framework trains the same network in a process of its own, one thread, batch 1, Adam(1e-3), on
one image whose label stays; all take turns, 100 steps each. A figure is the median of ten turns, in
microseconds per step: around step 100 that of the first ten after one that warms up. "denormal" is
the share of numbers in the state of the optimizer at the end that are denormal.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

import compare
from frameworks import FRAMEWORKS, NETWORKS

TURN, TURNS = 100, 10  # steps of a turn, turns of a figure


class Server(compare.Server):
    """Trains in a worker."""

    def prepare(self, case: dict[str, Any]) -> None:
        """Build the network."""
        self.framework = self.kind(**case)
        self.framework.start("train")

    def turn(self) -> float:
        """Take some steps; return the microseconds of one, of the processor."""
        start = time.process_time()
        for _ in range(TURN):
            self.framework.train(0)
        return (time.process_time() - start) / TURN * 1e6

    def denormal(self) -> float:
        """Return the share of denormal numbers in the state of the optimizer."""
        kept = np.concatenate([array.ravel() for array in self.framework.kept()])
        bits = kept.view(np.uint32)  # a comparison would take them for 0, too, where asked to
        exponent, fraction = bits & 0x7F800000, bits & 0x007FFFFF
        return float(((exponent == 0) & (fraction != 0)).mean())


class Worker(compare.Worker):
    """A process that trains with one framework."""

    script = __file__


def run(network: str, names: list[str], steps: int) -> dict[str, Any]:
    """Train with all frameworks in turns; return figures by name."""
    layers, arrays = compare.describe(network, "float32")
    numbers = np.random.default_rng(1)
    arrays["x"] = numbers.random((1, *NETWORKS[network][1]), np.float32)
    arrays["y"] = numbers.integers(0, 10, 1)
    with tempfile.TemporaryDirectory() as folder:
        data = f"{folder}/data.npz"
        np.savez(data, **arrays)
        case = {"network": network, "dtype": "float32", "layers": layers, "data": data}
        workers: dict[str, Worker] = {}
        times: dict[str, list[float]] = {name: [] for name in names}
        try:
            for name in names:
                workers[name] = Worker(name, 1)
                workers[name].ask("prepare", case=case | {"threads": 1})
            for i in range(max(steps // TURN, 1 + TURNS)):
                for name in names[:: -1 if i % 2 else 1]:
                    times[name].append(workers[name].ask("turn"))
            shares = {name: worker.ask("denormal") for name, worker in workers.items()}
        finally:
            for worker in workers.values():
                worker.close()
    return {
        name: {
            "early": median(times[name][1 : 1 + TURNS]),
            "middle": median(times[name][len(times[name]) // 2 :][:TURNS]),
            "late": median(times[name][-TURNS:]),
            "slowest": max(times[name][1:]),
            "denormal": shares[name],
            "turns": times[name],
        }
        for name in names
    }


def main() -> None:
    """Print a table per network."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    peers = ("torch", "torch-flush")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=["mlp", "simple"])
    parser.add_argument("--peers", nargs="*", choices=FRAMEWORKS, default=peers, metavar="NAME")
    parser.add_argument("--steps", type=compare.positive, default=10_000)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything")
    args = parser.parse_args()
    if args.worker:
        compare.work(args.worker, Server)
        return
    report: dict[str, Any] = {"machine": compare.machine(), "steps": args.steps, "networks": {}}
    print("{cpu}, level {level}, commit {commit}, {date}; µs per step".format(**report["machine"]))
    for network in args.networks:
        found = run(network, ["deepfs", *args.peers], args.steps)
        report["networks"][network] = found
        print(
            f"\n| {network}, batch 1 | step 100 | {args.steps // 2:,} | {args.steps:,} "
            "| late / early | slowest turn | denormal |\n|---|---|---|---|---|---|---|"
        )
        for name, r in found.items():
            print(f"| {name} | {r['early']:.0f} | {r['middle']:.0f} | {r['late']:.0f} "
                  f"| {r['late'] / r['early']:.2f} | {r['slowest']:.0f} "
                  f"| {100 * r['denormal']:.1f} % |", flush=True)  # fmt: skip
    if args.json:
        args.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
