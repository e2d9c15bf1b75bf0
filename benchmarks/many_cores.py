"""Show how evenly the kernels of a training step divide among 16, 32 and 64 threads.

    python benchmarks/many_cores.py [NETWORK ...] --threads 16 32 64

A machine of 64 cores is not needed: all threads are pinned to one core and take turns there. A
library that is loaded before the kernels, compiled from `CLOCK` below, stands between them and
OpenMP, and adds up the processor time of each thread in a kernel, without the time it takes to wake
threads and to wait for them. So this counts work: many cores also share memory bandwidth, and each
wait takes some microseconds. Linux, GCC's OpenMP and a C compiler only.

    ms         processor time of all calls of a kernel with arrays of these shapes, on one thread
    largest    work of the thread that has most, over the mean of all: 1 is even, 64 is one thread
    work       that of all threads, over that of one thread: parts of a sum may repeat some
    at best    how many times as fast as on one thread all kernels are if each is as slow as its
               slowest thread

Kernels of less than 15 us, which stay on one thread, are left out.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from compare import positive

NETWORKS = ("vgg_small", "resnet20")
BREAK_EVEN = 15e-3  # ms
MAX_THREADS = 256
WORKERS = {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "0"}  # who waits takes no time
CLOCK = f"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <omp.h>
#include <time.h>
static struct {{ double ms; char apart[56]; }} of_thread[{MAX_THREADS}];
static __thread double began;
static void (*region)(void *);
static void *context;
static double now(void)
{{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}}
static void stop(void) {{ of_thread[omp_get_thread_num()].ms += now() - began; }}
void clock_begin(void)
{{
    for (int i = 0; i < {MAX_THREADS}; i++)
        of_thread[i].ms = 0;
    began = now();
}}
void clock_end(double *ms)
{{
    stop();
    for (int i = 0; i < {MAX_THREADS}; i++)
        ms[i] = of_thread[i].ms;
}}
static void timed(void *unused) {{ (void)unused; began = now(); region(context); stop(); }}
void GOMP_parallel_start(void (*body)(void *), void *data, unsigned threads)
{{
    void (*start)(void (*)(void *), void *, unsigned) = dlsym(RTLD_NEXT, "GOMP_parallel_start");
    stop();
    region = body;
    context = data;
    start(timed, 0, threads);
    began = now();
}}
void GOMP_parallel_end(void)
{{
    void (*end)(void) = dlsym(RTLD_NEXT, "GOMP_parallel_end");
    stop();
    end();
    began = now();
}}
void GOMP_barrier(void)
{{
    void (*barrier)(void) = dlsym(RTLD_NEXT, "GOMP_barrier");
    stop();
    barrier();
    began = now();
}}
"""


def measured(network: str, batch: int, threads: int, steps: int) -> dict[str, list[float]]:
    """Return ms of each thread in a step, by kernel."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    import cnn_core.threads
    import deepfs as dfs
    from cnn_core import add, batch_norm, conv, dense, pool, softmax

    clock = ctypes.CDLL(os.environ["LD_PRELOAD"])
    dfs.set_num_threads(threads)
    cnn_core.threads.set_break_even(0)  # otherwise a busy machine keeps kernels on one thread
    rng = np.random.default_rng(0)
    x, y = rng.random((batch, 3, 32, 32), np.float32), rng.integers(0, 10, batch)
    model = dfs.Model(getattr(dfs.networks, network)(), "cross_entropy", "adam")
    model.train_on_batch(x, y)
    total = defaultdict[str, np.ndarray[Any, Any]](lambda: np.zeros(threads))

    def timed(name: str, kernel: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            ms = (ctypes.c_double * MAX_THREADS)()
            clock.clock_begin()
            result = kernel(*args, **options)
            clock.clock_end(ms)
            arrays = [a for a in args if isinstance(a, np.ndarray) and a.ndim > 1][:2]
            key = " ".join([name, *("x".join(map(str, a.shape)) for a in arrays)])
            total[key] += np.array(ms)[:threads] / steps
            return result

        return call

    for module in (add, batch_norm, conv, dense, pool, softmax):
        for name, kernel in list(vars(module).items()):
            if name.endswith(("forward", "backward", "_input", "_weight", "moments", "add")):
                setattr(module, name, timed(name, kernel))
    vars(model.optimizer)["step"] = timed("optimizer", model.optimizer.step)
    model.train_on_batch(x, y)
    total.clear()
    for _ in range(steps):
        model.train_on_batch(x, y)
    return {key: list(ms) for key, ms in total.items()}


def asked(network: str, args: argparse.Namespace, threads: int) -> dict[str, list[float]]:
    """Do the work of `measured` in a process of its own."""
    command = [sys.executable, __file__, network, "--batch", str(args.batch)]
    command += ["--steps", str(args.steps), "--child", str(threads)]
    with tempfile.TemporaryDirectory() as folder:
        source, library = Path(folder, "clock.c"), Path(folder, "clock.so")
        source.write_text(CLOCK)
        compiler = os.environ.get("CC", "cc")
        build = [compiler, "-O2", "-fopenmp", "-shared", "-fPIC", "-o", str(library), str(source)]
        subprocess.run(build, check=True)
        environment = {"OMP_NUM_THREADS": str(threads), "LD_PRELOAD": str(library)} | WORKERS
        done = subprocess.run(
            command, env=os.environ | environment, check=True, stdout=subprocess.PIPE, text=True
        )
    result: dict[str, list[float]] = json.loads(done.stdout)
    return result


def report(network: str, args: argparse.Namespace) -> None:
    """Print the table of one network."""
    one = {key: sum(ms) for key, ms in asked(network, args, 1).items()}
    one = {key: ms for key, ms in one.items() if ms >= BREAK_EVEN}
    found = {threads: asked(network, args, threads) for threads in args.threads}
    heads = "".join(f"{f'{threads} threads':>18}" for threads in args.threads)
    print(f"\n{f'{network}, batch {args.batch}':<67}{heads}")
    columns = f"{'largest':>11}{'work':>7}" * len(args.threads)
    print(f"{'kernel, shapes of its first arrays':<58}{'ms':>9}{columns}")
    for key, ms in sorted(one.items(), key=lambda item: -item[1]):
        line = f"{key:<58}{ms:9.3f}"
        for threads in args.threads:
            each = found[threads][key]
            line += f"{max(each) * threads / sum(each):11.2f}{sum(each) / ms:7.2f}"
        print(line)
    for threads in args.threads:
        slowest = sum(max(found[threads][key]) for key in one)
        print(f"at best {sum(one.values()) / slowest:.1f} times as fast on {threads} cores")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("networks", nargs="*", default=NETWORKS, help=f"of {', '.join(NETWORKS)}; both by default")
    add("--threads", nargs="+", type=positive, default=[16, 32, 64], metavar="N")
    add("--batch", type=positive, default=100, metavar="N", help="images (%(default)s)")
    add("--steps", type=positive, default=5, metavar="N", help="that are averaged (%(default)s)")
    add("--child", type=int, default=0, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        print(json.dumps(measured(args.networks[0], args.batch, args.child, args.steps)))
        return
    for network in args.networks:
        report(network, args)


if __name__ == "__main__":
    main()
