"""Measure data-parallel training: messages of MPI, steps on 2 ranks, a forecast for 64 machines.

    python benchmarks/distributed.py [--batch N] [--repeats N]

It starts ``mpiexec -n 2`` itself. Times are the least of all repeats, since other processes take
parts of the processor. The forecast is the formula of docs/distributed.md with what was measured.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

import deepfs as dfs
from deepfs.data.batches import Batch
from deepfs.distributed.launch import world
from deepfs.distributed.shards import GradientSum, Shards

NETWORKS = ("vgg_small", "resnet20")
SIZES = (8, 2**12, 2**20, 2**22, 2**25)  # bytes
SMALL = 5  # small exchanges of a step: 2 agreements; what is measured, in 2; its own agreement
LINKS = {  # latency of a message in seconds, bytes per second: figures of data sheets
    "10 Gbit/s Ethernet": (30e-6, 1.25e9),
    "100 Gbit/s InfiniBand": (2e-6, 12.5e9),
}


def least(function: Callable[[], Any], repeats: int) -> float:
    """Return the least time of a call, in seconds, as the slowest rank sees it."""
    times = []
    for _ in range(repeats):
        world().agree(0)
        started = perf_counter()
        function()
        times.append(perf_counter() - started)
    return min(max(each) for each in zip(*world().share(times), strict=True))


def messages(repeats: int) -> dict[str, Any]:
    """Return the times of a plain sum over ranks, and of the sum in the order of shards."""
    from mpi4py import MPI

    comm, found = world().comm, {}
    for size in SIZES:
        grads = np.zeros(size // 4, np.float32)
        total = np.empty_like(grads)
        times = repeats if size > 2**20 else 50 * repeats
        row = {"plain": least(lambda g=grads, t=total: comm.Allreduce(g, t, MPI.SUM), times)}
        for each in (1, 2, 4):
            shards = Shards(each * world().size, world())
            sums = GradientSum(shards, grads)

            def ordered(shards: Shards = shards, sums: GradientSum = sums) -> None:
                sums.begin()
                for shard in shards.own:
                    sums.put(shard)
                sums.exchange(shards.count)
                sums.finish()

            row[f"{each} a rank"] = least(ordered, times)
        found[str(size)] = row
    found["agree"] = least(lambda: world().agree(0), 50 * repeats)
    return found


def step_time(name: str, batch: int, threads: int, repeats: int) -> float:
    """Return the time of a training step of a batch that all ranks share, in seconds."""
    dfs.set_num_threads(threads)
    dfs.set_seed(0)
    x = np.random.default_rng(0).random((batch, 3, 32, 32), np.float32)
    y = np.arange(batch) % 10
    model = dfs.Model(getattr(dfs.networks, name)(), dfs.losses.CrossEntropy(),
                      dfs.optimizers.Momentum(1e-3))  # fmt: skip
    model.train_on_batch(x[:4], y[:4])
    size = world().size
    shards = Shards(size, world()) if size > 1 else None
    data: Any = Batch(x, y) if shards is None else shards.cut(Batch(x, y))
    model.trainer.step([data], None, shards)
    return least(lambda: model.trainer.step([data], None, shards), repeats)


def overlap(name: str, batch: int, repeats: int) -> list[float]:
    """Return the times of a step of a rank alone, and with an exchange of gradients after or in it.

    The one in the step is started before it and waited for after it: more cannot be gained by
    sending gradients while others are still computed.
    """
    dfs.set_num_threads(1)
    dfs.set_seed(0)
    x = np.random.default_rng(0).random((batch // world().size, 3, 32, 32), np.float32)
    data = Batch(x, np.arange(len(x)) % 10)
    model = dfs.Model(getattr(dfs.networks, name)(), dfs.losses.CrossEntropy(),
                      dfs.optimizers.Momentum(1e-3))  # fmt: skip
    model.train_on_batch(data.x, data.y)
    comm, send = world().comm, np.zeros(gradient_bytes(name) // 4, np.float32)
    send = send[: len(send) // world().size * world().size]
    received = np.empty_like(send)

    def step() -> None:
        model.trainer.step([data], None, None)

    def after() -> None:
        step()
        comm.Alltoall(send, received)

    def during() -> None:
        request = comm.Ialltoall(send, received)
        step()
        request.Wait()

    times = [[least(each, 1) for each in (step, after, during)] for _ in range(repeats)]
    return [min(each) for each in zip(*times, strict=True)]


def gradient_bytes(name: str) -> int:
    """Return the bytes of the gradients of a network."""
    network = getattr(dfs.networks, name)()
    network.prepare(np.zeros((1, 3, 32, 32), np.float32))
    return 4 * sum(each.size for each in network.parameters().values())


def measured(ranks: int, *arguments: object) -> Any:
    """Return what this script finds on some ranks."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "found.json"
        mpiexec = Path(sys.executable).with_name("mpiexec")
        start = [mpiexec if mpiexec.exists() else "mpiexec", "-n", str(ranks)] if ranks > 1 else []
        subprocess.run([*map(str, start), sys.executable, __file__, "--out", str(out),
                        *map(str, arguments)], check=True)  # fmt: skip
        return json.loads(out.read_text())


def forecast(step: float, nbytes: int, machines: int, latency: float, rate: float) -> float:
    """Return the time of a step of ``machines``, each of which takes ``step`` for its shard."""
    rounds = math.ceil(math.log2(machines))
    small = SMALL * 2 * rounds * latency
    sums = 2 * (machines - 1) * latency + 2 * (machines - 1) / machines * nbytes / rate
    return step + small + sums


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--out")
    parser.add_argument("what", nargs="*")
    options = parser.parse_args()
    if options.out:
        what, *rest = options.what
        if what == "messages":
            found: Any = messages(options.repeats)
        elif what == "overlap":
            found = overlap(rest[0], options.batch, options.repeats)
        else:
            found = step_time(what, options.batch, int(rest[0]), options.repeats)
        if world().rank == 0:
            Path(options.out).write_text(json.dumps(found))
        return
    asked = ("--repeats", options.repeats)
    found = measured(2, *asked, "messages")
    print("time of a sum over 2 ranks, in microseconds\n")
    print(f"{'bytes':>12} " + " ".join(f"{name:>10}" for name in found["8"]))
    for size in map(str, SIZES):
        row = " ".join(f"{1e6 * seconds:10.1f}" for seconds in found[size].values())
        print(f"{int(size):12,} {row}")
    latency = found["8"]["plain"]
    rate = SIZES[-1] / found[str(SIZES[-1])]["1 a rank"]
    print(f"\nlatency {1e6 * latency:.1f} microseconds, agreement {1e6 * found['agree']:.1f}; "
          f"sum in order: {rate / 1e9:.2f} GB of gradients per second\n")  # fmt: skip
    print("time of a step, in milliseconds\n")
    print(f"{'':<12}{'batch':>6}{'1 x 1':>9}{'1 x 2':>9}{'2 x 1':>9}   (ranks x threads)")
    links = {"this machine's messages": (latency, rate)} | LINKS
    rows = []
    for name in NETWORKS:
        nbytes = gradient_bytes(name)
        for batch in (options.batch, options.batch // 8):
            common = ("--batch", batch, *asked, name)
            times = [measured(r, *common, t) for r, t in ((1, 1), (1, 2), (2, 1))]
            print(f"{name:<12}{batch:6}" + "".join(f"{1e3 * t:9.1f}" for t in times))
            step = min(times[:2])
            for link, (delay, speed) in links.items():
                shares = [step / forecast(step, nbytes, n, delay, speed) for n in (2, 8, 64)]
                rows.append(f"{name:<12}{batch:6}  {link:<24}"
                            + "".join(f"{share:8.0%}" for share in shares))  # fmt: skip
    print("\na step of each of 2 ranks, in milliseconds: alone, then an exchange, with it inside\n")
    for name in NETWORKS:
        for batch in (options.batch, options.batch // 8):
            times = measured(2, "--batch", batch, *asked, "overlap", name)
            print(f"{name:<12}{batch:6}" + "".join(f"{1e3 * t:9.2f}" for t in times))
    print("\nforecast: images per second of 2, 8, 64 machines, as a share of what as many single "
          "ones do;\nbatch is that of each machine\n", *rows, sep="\n")  # fmt: skip


if __name__ == "__main__":
    main()
