"""Time deepfs against other frameworks: the same network, the same weights, the same batch.

    python benchmarks/compare.py --networks deep --peers torch torch-channels-last --threads 1 2

An absolute time on a shared machine means nothing, so everything here serves the ratio:

- **Correctness first.** All frameworks get the same weights and batch. Outputs, gradients and the
  losses of a few training steps, with dropout off, must agree with deepfs to float32 accuracy; a
  peer that computes something else is not timed.
- **Separate processes.** Each framework lives in a worker of its own, so that neither thread pools
  nor allocators meet. A worker waits for one JSON line on stdin, does what it says, and answers.
- **Alternating rounds.** A round is about 0.3 s of steps after one untimed step. All frameworks do
  one round, then the next, in turning order: drift of the machine hits all of them. A ratio is the
  median over rounds of (peer ms / deepfs ms), next to it the ratio of the best rounds.
- **Equal threads**, by environment and by each framework's own call; a note tells when a worker
  has used more processors than it was given.

A training step is forward, cross-entropy, backward and Adam(1e-3), dropout on, data in memory, the
loss read back. Its labels alternate between two sets that contradict each other: the network can
never fit them, so gradients do not fade into denormal numbers. Inference is the forward alone, in
the framework's mode for it.

GFLOP/s is effective: multiply-adds of convolutions and dense layers as the textbook counts them,
times 2, whatever algorithm runs; training counts thrice, less the first layer's input gradient. The
peak is the best matrix product (512, deepfs's or NumPy's) seen between the rounds, and the share of
it compares best with best.

The frameworks, deepfs among them, are in frameworks.py.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import math
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from frameworks import FRAMEWORKS, NETWORKS, Array, Layer, build

Round = tuple[float, float]  # ms per step, processors kept busy
# Outputs and losses by the largest entry; losses also carry three updates, where Keras places
# Adam's epsilon elsewhere. Gradients by the norm, per parameter: where an activation is within
# rounding of 0, ReLU's derivative may be either, which moves a gradient by up to 1e-3.
TOLERANCE = {"outputs": 1e-4, "losses": 5e-3, "gradients": 3e-3}
ROUND = 0.3  # seconds
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NPROC")


class Server:
    """Does in a worker what the driver asks; each method answers one request."""

    def __init__(self, name: str) -> None:
        self.kind = FRAMEWORKS[name]

    def check(self, case: dict[str, Any], to: str) -> str:
        """Write outputs, gradients and losses without dropout; return the version."""
        layers = [layer | {"p": 0.0} if "p" in layer else layer for layer in case["layers"]]
        framework = self.kind(**case | {"layers": layers})
        found = {"outputs": np.asarray(framework.infer(0))}
        framework.start("train")
        found |= {f"gradient of {key}": g for key, g in framework.gradients().items()}
        np.savez(to, **found, losses=[framework.train(i) for i in range(4)])
        return str(importlib.import_module(self.kind.package).__version__)

    def begin(self, case: dict[str, Any], mode: str) -> int:
        """Build the network, warm up; return how many steps make a round."""
        framework = self.kind(**case)
        framework.start(mode)
        self.step = framework.train if mode == "train" else framework.infer
        for i in range(3):
            self.step(i)
        steps = 1
        while (elapsed := self.round(steps)[0] * steps / 1e3) < ROUND / 4:
            steps *= 2
        return max(1, round(steps * ROUND / elapsed))

    def round(self, steps: int) -> Round:
        """Time some steps, after one that wakes caches and threads."""
        self.step(1)
        processor, start = time.process_time(), time.perf_counter()
        for i in range(steps):
            self.step(i)
        elapsed = time.perf_counter() - start
        return elapsed / steps * 1e3, (time.process_time() - processor) / elapsed

    def peak(self) -> float:
        """Return GFLOP/s of the faster of two matrix products."""
        from cnn_core import gemm

        rng, best = np.random.default_rng(0), np.inf
        a, b = rng.random((2, 512, 512), np.float32)
        c = np.empty_like(a)
        for multiply in (gemm.gemm, lambda a, b, c: np.matmul(a, b, out=c)):
            for _ in range(8):
                start = time.perf_counter()
                multiply(a, b, c)
                best = min(best, time.perf_counter() - start)
        return 2 * 512**3 / best / 1e9


def work(name: str) -> None:
    """Answer requests, one JSON line each, until stdin ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the framework prints must not look like an answer
    server = Server(name)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = {"answer": getattr(server, request.pop("do"))(**request)}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)


class Worker:
    """A process with one framework."""

    def __init__(self, name: str, threads: int) -> None:
        environment = os.environ | dict.fromkeys(THREAD_VARIABLES, str(threads))
        self.name = name
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--worker", name],
            env=environment | {"CUDA_VISIBLE_DEVICES": ""},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True,
        )  # fmt: skip

    def ask(self, do: str, **arguments: Any) -> Any:
        """Send a request, wait for the answer; raise RuntimeError if it is an error."""
        try:
            print(json.dumps({"do": do} | arguments), file=self.process.stdin, flush=True)
            answer = json.loads(self.process.stdout.readline() or "{}")
        except BrokenPipeError:
            answer = {}
        if "answer" not in answer:
            self.log.seek(0)
            last = (self.log.read().strip() or "it ended without a word").splitlines()[-1]
            raise RuntimeError(f"{self.name}, {do}: {answer.get('error', last)}".splitlines()[0])
        return answer["answer"]

    def close(self) -> None:
        """End the process."""
        self.process.terminate()
        self.process.communicate()
        self.log.close()


def describe(network: str) -> tuple[list[Layer], dict[str, Array], list[int]]:
    """Return a network in words, its weights, and multiply-adds per image of each layer."""
    net, shape, image = build(network), NETWORKS[network][1], None
    layers: list[Layer] = []
    weights: dict[str, Array] = {}
    work: list[int] = []
    rng = np.random.default_rng(0)
    for name, part in net.parts().items():
        layer: Layer = {"kind": type(part).__name__, "name": name}
        match layer["kind"]:
            case "Conv2D":
                layer |= {"padding": part.padding, "stride": part.stride}
            case "Dense":
                layer, image = layer | {"image": image}, None
            case "MaxPool2D":
                layer |= {"size": part.kernel_size}
            case "Flatten":
                image = shape
            case "Dropout":
                layer |= {"p": part.p}
            case kind if kind != "ReLU":
                raise NotImplementedError(f"compare.py cannot describe {kind} to the peers yet")
        layers.append(layer)
        shape = part.out_shape(shape)
        for key, parameter in part.parameters().items():
            value = parameter.value
            if key == "bias":  # new ones are 0, and the check would not miss them
                value = rng.normal(0, 0.1, value.shape)
            else:
                work.append(value.size * math.prod(shape[1:]))
            weights[f"{name}.{key}"] = np.ascontiguousarray(value, np.float32)
    return layers, weights, work


def disagreement(got: str, wanted: str) -> dict[str, float]:
    """Return how far outputs, losses and gradients are from deepfs's; see TOLERANCE."""
    errors = {"outputs": 0.0, "losses": 0.0, "gradients": 0.0}
    with np.load(got) as ours, np.load(wanted) as right:
        for key, value in right.items():
            if key not in ours or ours[key].shape != value.shape:
                raise RuntimeError(f"computes something else: another shape, or no, {key}")
            difference, kind = ours[key] - value, key if key in errors else "gradients"
            size = np.linalg.norm if kind == "gradients" else lambda x: np.abs(x).max()
            error = float(size(difference) / (size(value) + 1e-30))
            errors[kind] = max(errors[kind], error if math.isfinite(error) else math.inf)
    return errors


def run(network: str, threads: int, batch: int, args: argparse.Namespace) -> list[dict[str, Any]]:
    """Check and time one network at one batch size and thread count; return a result per mode."""
    layers, arrays, work = describe(network)
    rng, folder = np.random.default_rng(1), Path(tempfile.mkdtemp())
    arrays["x"] = rng.random((batch, *NETWORKS[network][1]), np.float32)
    arrays["y"] = rng.integers(0, 10, batch)
    np.savez(folder / "data.npz", **arrays)
    data = str(folder / "data.npz")
    case = {"network": network, "layers": layers, "data": data, "threads": threads}
    workers: dict[str, Worker] = {}
    failed, versions, errors, results = {}, {}, {}, []
    try:
        for name in ["deepfs", *args.peers]:
            workers[name] = Worker(name, threads)
            try:
                to = str(folder / f"{name}.npz")
                versions[name] = workers[name].ask("check", case=case, to=to)
                errors[name] = disagreement(to, str(folder / "deepfs.npz"))
                if wrong := [k for k in TOLERANCE if errors[name][k] > TOLERANCE[k]]:
                    said = ", ".join(f"{k} differ by {errors[name][k]:.1e}" for k in wrong)
                    raise RuntimeError(f"computes something else: {said}")
            except RuntimeError as error:
                if name == "deepfs":
                    raise
                failed[name] = str(error)
                workers.pop(name).close()
        for mode in args.mode:
            operations = 2 * batch * (3 * sum(work) - work[0] if mode == "train" else sum(work))
            steps = {
                name: worker.ask("begin", case=case, mode=mode) for name, worker in workers.items()
            }
            rounds: dict[str, list[Round]] = {name: [] for name in workers}
            peak = 0.0
            for i in range(args.rounds):
                peak = max(peak, workers["deepfs"].ask("peak"))
                for name in list(workers)[:: -1 if i % 2 else 1]:
                    rounds[name].append(workers[name].ask("round", steps=steps[name]))
            result = {"network": network, "threads": threads, "batch": batch, "mode": mode}
            result |= {"operations": operations, "peak_gflops": peak}
            result |= {"errors": errors, "failed": failed}
            result["frameworks"] = {
                name: {"version": versions[name]}
                | summary(rounds[name], rounds["deepfs"], operations)
                for name in workers
            }
            print_result(result)
            results.append(result)
    finally:
        for worker in workers.values():
            worker.close()
        shutil.rmtree(folder)
    return results


def summary(rounds: list[Round], base: list[Round], operations: int) -> dict[str, Any]:
    """Return what the rounds of a framework say, next to those of deepfs."""
    ms, ours = [r[0] for r in rounds], [r[0] for r in base]
    return {
        "median_ms": median(ms),
        "best_ms": min(ms),
        "ratio": median(a / b for a, b in zip(ms, ours, strict=True)),
        "ratio_best": min(ms) / min(ours),
        "gflops": operations / min(ms) / 1e6,
        "processors": median(r[1] for r in rounds),
        "rounds_ms": ms,
    }


HEAD = (
    "network threads batch mode   framework            median ms   best ms   ratio  (best)"
    "   GFLOP/s  % of peak"
)


def print_result(result: dict[str, Any]) -> None:
    """Print a row per framework; the ratio is how many times deepfs's time it takes."""
    key = "{network:<8}{threads:>6} {batch:>5}  {mode:<6}".format(**result)
    for name, r in result["frameworks"].items():
        ratio = f"{r['ratio']:7.2f} {r['ratio_best']:7.2f}" if name != "deepfs" else " " * 15
        print(
            f"{key} {name:<20}{r['median_ms']:10.3f}{r['best_ms']:10.3f} {ratio}"
            f"{r['gflops']:10.1f}{100 * r['gflops'] / result['peak_gflops']:10.0f}"
        )
        if r["processors"] > result["threads"] + 0.1:
            print(f"  note: {name} kept {r['processors']:.2f} processors busy")
    for name, reason in result["failed"].items():
        print(f"{key} {name:<20}not timed: {reason}")
    sys.stdout.flush()


def machine() -> dict[str, Any]:
    """Return what the figures depend on."""
    import cnn_core

    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return {
        "cpu": names[0] if names else platform.processor() or platform.machine(),
        "processors": os.cpu_count(),
        "level": cnn_core.level,
        "system": platform.platform(),
        "python": platform.python_version(),
        "numpy": np.__version__,
    }


def positive(text: str) -> int:
    """Return a number given on the command line."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, got {text!r}")
    return int(text)


def arguments() -> argparse.Namespace:
    """Return what the command line asks for."""
    known = [name for name in FRAMEWORKS if name != "deepfs"]
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").partition("\n")[0],
        epilog="A ratio is a peer's time over deepfs's: above 1, deepfs is faster.",
    )
    add = parser.add_argument
    add("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS), metavar="NAME",
        help="any of %(choices)s; all by default")  # fmt: skip
    add("--peers", nargs="*", choices=known, default=known, metavar="NAME",
        help="any of %(choices)s; by default all that are installed")  # fmt: skip
    add("--batch", nargs="+", type=positive, default=[100], metavar="N", help="images per step")
    add("--threads", nargs="+", type=positive, default=[1], metavar="N", help="of every framework")
    add("--mode", nargs="+", choices=("train", "infer"), default=["train"], help="what is timed")
    add("--rounds", type=positive, default=9, help="of about 0.3 s, per framework (%(default)s)")
    add("--json", type=Path, metavar="FILE", help="write everything, every round included")
    add("--worker", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if importlib.util.find_spec("deepfs") is None:
        parser.error("deepfs is not installed for this Python: pip install .")
    if args.json and not args.json.resolve().parent.is_dir():
        parser.error(f"--json needs a folder that exists, got {args.json}")
    return args


def main() -> int:
    """Run all cases; return the exit status."""
    args = arguments()
    if args.worker:
        work(args.worker)
        return 0
    missing = [n for n in args.peers if importlib.util.find_spec(FRAMEWORKS[n].package) is None]
    args.peers = [name for name in args.peers if name not in missing]
    for name in missing:
        print(f"{name}: not installed")
    report: dict[str, Any] = {"machine": machine(), "not_installed": missing, "results": []}
    print("{cpu}, {processors} processors, instruction set {level}".format(**report["machine"]))
    print(HEAD)
    status = 0
    try:
        for threads, network, batch in product(args.threads, args.networks, args.batch):
            try:
                report["results"] += run(network, threads, batch, args)
            except RuntimeError as error:
                print(f"{network}, {threads} threads, batch {batch}: {error}", file=sys.stderr)
                status = 1
    except KeyboardInterrupt:
        print("compare.py: interrupted", file=sys.stderr)
        status = 130
    if args.json:
        args.json.write_text(json.dumps(report, indent=1) + "\n")
    return status


if __name__ == "__main__":
    raise SystemExit(main())
