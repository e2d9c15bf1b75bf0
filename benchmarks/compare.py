"""Time deepfs against other frameworks: the same network, the same weights, the same batch.

    python benchmarks/compare.py --networks deep --peers torch torch-channels-last --threads 1 2

An absolute time on a shared machine means nothing, so everything here serves the ratio:

- **Correctness first.** All frameworks get the same weights and batch. Outputs, gradients, the
  losses of a few training steps and the outputs after them, with dropout off, must agree with
  deepfs (see TOLERANCE), for inference the outputs alone; a peer that computes something else is
  not timed.
- **Separate processes.** Each framework lives in a worker of its own, so that neither thread pools
  nor allocators meet. A worker waits for one JSON line on stdin, does what it says, and answers.
  The check and each mode have fresh ones, so peak memory is that of the mode, imports included.
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
peak is the best matrix product (512, deepfs's or NumPy's) after the rounds, and the share of it
compares best with best. MB is the most memory a worker has had resident after its warm-up; "of a
step" is by how much its steps then exceed what is resident between them, when idle memory has gone
back to the operating system: activations, gradients of them, workspaces (Linux).

The head says what was measured: the processor, the commit of deepfs, and the instruction set of
either side. PyTorch's is what ATen and oneDNN say themselves; whether AMX is used is seen in the
names of the kernels that oneDNN and MKL report for a convolution and a product in the arithmetic
at hand. deepfs computes in float32 and float64, without AMX.

The frameworks, deepfs among them, are in frameworks.py.

    python benchmarks/compare.py --against ../before [--only resnet20 gemm] [--pairs 10]

times this build of deepfs against another one instead: a checkout built in place, a virtual
environment, or its Python. Rows are training and inference of the networks at batch 100 and 1,
matrix products, steps of optimizers, and layers. How a row counts as slower is said in builds.py;
if one does, the exit status is 1. All rows take about 6 minutes.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import math
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

import builds
from frameworks import FRAMEWORKS, NETWORKS, SETTINGS, Array, Layer, build, every

Round = tuple[float, float]  # ms per step, processors kept busy
# By arithmetic. Outputs, the first loss, later losses and the outputs after them by the largest
# entry; gradients by the norm, per parameter.
# float32: where an activation is within rounding of 0, ReLU's derivative may be either, and batch
# norm spreads that over a channel: on resnet20 PyTorch's own float32 gradients err by up to 1.4e-2
# from float64. Adam's first steps are as long for a gradient that is all rounding as for any other,
# and Keras places its epsilon elsewhere.
# float64 rounds too little for any of that: there PyTorch and deepfs agree to 1e-13.
# bfloat16 has 8 bits, and 20 layers leave its gradients little more than their direction (0.79);
# that both compute the same is shown by the same modules in float32.
TOLERANCE = {
    "float32": {"outputs": 1e-4, "loss": 1e-4, "gradients": 5e-2, "losses": 2e-2, "trained": 0.1},
    "float64": {"outputs": 1e-9, "loss": 1e-9, "gradients": 1e-9, "losses": 1e-9, "trained": 1e-9},
    "bfloat16": {"outputs": 5e-2, "loss": 5e-2, "gradients": 0.9, "losses": 0.1, "trained": 0.5},
}
ROUND = 0.3  # seconds
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NPROC")


class Server:
    """Does in a worker what the driver asks; each method answers one request."""

    def __init__(self, name: str) -> None:
        self.kind = FRAMEWORKS[name]
        self.version = str(importlib.import_module(self.kind.package).__version__)

    def about(self) -> str:
        """Return version and instruction set."""
        return f"{self.version}, {self.kind.instructions()}"

    def check(self, case: dict[str, Any], to: str) -> str:
        """Write what `disagreement` compares, without dropout; return the version."""
        for layer in every(case["layers"]):
            if "p" in layer:
                layer["p"] = 0.0
        framework = self.kind(**case)
        found = {"outputs": np.array(framework.infer(0))}
        framework.start("train")
        found |= {f"gradient of {key}": np.array(g) for key, g in framework.gradients().items()}
        found["losses"] = np.array([framework.train(i) for i in range(4)])
        found["loss"] = found["losses"][:1]
        framework.start("infer")
        np.savez(to, **found, trained=np.asarray(framework.infer(0)))
        return self.version

    def begin(self, case: dict[str, Any], mode: str) -> tuple[int, float, float | None]:
        """Build the network, warm up; return how many steps make a round, and memory in MB."""
        framework = self.kind(**case)
        framework.start(mode)
        self.step = framework.train if mode == "train" else framework.infer
        for i in range(3):
            self.step(i)
        peak = memory()
        framework.give_back()
        of_step = growth(self.step)
        steps = 1
        while (elapsed := self.round(steps)[0] * steps / 1e3) < ROUND / 4:
            steps *= 2
        return max(1, round(steps * ROUND / elapsed)), peak, of_step

    def round(self, steps: int) -> Round:
        """Time some steps, after one that wakes caches and threads."""
        self.step(1)
        processor, start = time.process_time(), time.perf_counter()
        for i in range(steps):
            self.step(i)
        elapsed = time.perf_counter() - start
        return elapsed / steps * 1e3, (time.process_time() - processor) / elapsed

    def peak(self, dtype: str) -> float:
        """Return GFLOP/s of the faster of two matrix products."""
        from cnn_core import gemm

        rng, best = np.random.default_rng(0), np.inf
        a, b = rng.random((2, 512, 512), dtype)
        c = np.empty_like(a)
        for multiply in (gemm.gemm, lambda a, b, c: np.matmul(a, b, out=c)):
            for _ in range(8):
                start = time.perf_counter()
                multiply(a, b, c)
                best = min(best, time.perf_counter() - start)
        return 2 * 512**3 / best / 1e9


def memory() -> float:
    """Return the most memory this process has had resident, in MB."""
    try:
        status = Path("/proc/self/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) / 2**10
    except OSError:  # macOS; not on Linux, where this would begin with what the parent had
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def growth(step: Callable[[int], Any]) -> float | None:
    """Return by how many MB the memory of some steps exceeds what is resident, on Linux."""
    try:
        before = Path("/proc/self/status").read_text().partition("VmRSS:")[2].split()[0]
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    except OSError:
        return None
    for i in range(3):
        step(i)
    return memory() - int(before) / 2**10


def work(name: str, kind: type[Server] = Server) -> None:
    """Answer requests, one JSON line each, until stdin ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the framework prints must not look like an answer
    server = kind(name)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = {"answer": getattr(server, request.pop("do"))(**request)}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)


class Worker:
    """A process with one framework."""

    script = __file__  # what it runs

    def __init__(self, name: str, threads: int, **more: str) -> None:
        environment = os.environ | dict.fromkeys(THREAD_VARIABLES, str(threads))
        environment |= FRAMEWORKS[name].environment | more
        self.name = name
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self.process = subprocess.Popen(
            [sys.executable, self.script, "--worker", name],
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
            last = (self.printed().strip() or "it ended without a word").splitlines()[-1]
            raise RuntimeError(f"{self.name}, {do}: {answer.get('error', last)}".splitlines()[0])
        return answer["answer"]

    def printed(self) -> str:
        """Return what the framework has printed."""
        self.log.seek(0)
        return self.log.read()

    def close(self) -> None:
        """End the process."""
        self.process.terminate()
        self.process.communicate()
        self.log.close()


@contextmanager
def started(names: Iterable[str], threads: int) -> Iterator[dict[str, Worker]]:
    """Give workers by name; all start at once, importing side by side, and end afterwards."""
    workers: dict[str, Worker] = {}
    try:
        for name in names:
            workers[name] = Worker(name, threads)
        yield workers
    finally:
        for worker in workers.values():
            worker.close()


def describe(network: str, dtype: str) -> tuple[list[Layer], dict[str, Array]]:
    """Return a network in words, multiply-adds per image included, and its arrays by name."""
    rng, arrays = np.random.default_rng(0), {}
    flattened = None  # shape of the images a Flatten saw, for the Dense that follows

    def words(part: Any, name: str, shape: tuple[int, ...]) -> list[Layer]:
        nonlocal flattened
        layer: Layer = {"kind": type(part).__name__, "name": name, "arrays": []}
        match layer["kind"]:
            case "Sequential":
                layers: list[Layer] = []
                for key, inner in part.named_parts().items():
                    layers += words(inner, f"{name}.{key}".lstrip("."), shape)
                    shape = inner.out_shape(shape)
                return layers
            case "Residual":
                ways = part.named_parts().items()
                inside = {key: words(way, f"{name}.{key}", shape) for key, way in ways}
                return [layer | {"shortcut": []} | inside]
            case kind if kind not in SETTINGS:
                raise NotImplementedError(f"the peers do not know {kind} yet")
            case "Flatten":
                flattened = shape
            case "Dense":
                layer["image"], flattened = flattened, None
        layer |= {field: getattr(part, field) for field in SETTINGS[layer["kind"]]}
        learned = {key: parameter.value for key, parameter in part.parameters().items()}
        for key, value in (learned | part.buffers()).items():
            if key == "weight":
                layer["work"] = value.size * math.prod(part.out_shape(shape)[1:])
            elif key == "batches":
                continue
            else:  # new ones are all 0 or 1, and the check would not miss them
                value = value + rng.uniform(-0.3, 0.3, value.shape)
            layer["arrays"].append(key)
            arrays[f"{name}.{key}"] = np.ascontiguousarray(value, dtype)
        return [layer]

    return words(build(network, dtype), "", NETWORKS[network][1]), arrays


def disagreement(got: str, wanted: str) -> dict[str, float]:
    """Return how far a framework's results are from deepfs's, by their kind; see TOLERANCE."""
    errors = dict.fromkeys(TOLERANCE["float32"], 0.0)
    with np.load(got) as ours, np.load(wanted) as right:
        for key, value in right.items():
            if key not in ours or ours[key].shape != value.shape:
                raise RuntimeError(f"computes something else: another shape, or no, {key}")
            difference, kind = ours[key] - value, key if key in errors else "gradients"
            size = np.linalg.norm if kind == "gradients" else lambda x: np.abs(x).max()
            error = float(size(difference) / (size(value) + 1e-30))
            errors[kind] = max(errors[kind], error if math.isfinite(error) else math.inf)
    return errors


def verify(names: list[str], case: dict[str, Any], folder: Path) -> dict[str, dict[str, Any]]:
    """Return versions and errors, and why others cannot be timed, by name."""
    found: dict[str, dict[str, Any]] = {"versions": {}, "errors": {}, "failed": {}}
    for name in names:
        if case["dtype"] not in FRAMEWORKS[name].dtypes:
            found["failed"][name] = f"{' and '.join(FRAMEWORKS[name].dtypes)} only"
    fit = [name for name in names if name not in found["failed"]]
    with started(fit, case["threads"]) as workers:
        for name, worker in workers.items():
            to = str(folder / f"{name}.npz")
            try:
                found["versions"][name] = worker.ask("check", case=case, to=to)
                found["errors"][name] = disagreement(to, str(folder / "deepfs.npz"))
            except RuntimeError as error:
                if name == "deepfs":
                    raise
                found["failed"][name] = str(error)
    return found


def wrong(name: str, errors: dict[str, float], dtype: str, mode: str) -> str:
    """Return in what a framework computes something else, if it does."""
    tolerance = TOLERANCE[FRAMEWORKS[name].arithmetic or dtype]
    kinds = tolerance if mode == "train" else ("outputs",)
    far = [kind for kind in kinds if errors[kind] > tolerance[kind]]
    said = ", ".join(f"{kind} differ by {errors[kind]:.1e}" for kind in far)
    return said and f"computes something else: {said}"


def run(network: str, threads: int, batch: int, args: argparse.Namespace) -> list[dict[str, Any]]:
    """Check and time one network at one batch size and thread count; return a result per mode."""
    layers, arrays = describe(network, args.dtype)
    rng, results = np.random.default_rng(1), []
    arrays["x"] = rng.random((batch, *NETWORKS[network][1]), args.dtype)
    arrays["y"] = rng.integers(0, 10, batch)
    key = {"network": network, "dtype": args.dtype, "threads": threads}
    with tempfile.TemporaryDirectory() as folder:
        data = f"{folder}/data.npz"
        np.savez(data, **arrays)
        case = key | {"layers": layers, "data": data}
        names = ["deepfs", *(n for n in args.peers if {*FRAMEWORKS[n].modes} & {*args.mode})]
        found = verify(names, case, Path(folder))
        work = [layer["work"] for layer in every(layers) if "work" in layer]
        for mode in args.mode:
            operations = 2 * batch * (3 * sum(work) - work[0] if mode == "train" else sum(work))
            result = key | {"batch": batch, "mode": mode, "operations": operations}
            said = {name: wrong(name, e, args.dtype, mode) for name, e in found["errors"].items()}
            failed = found["failed"] | {name: reason for name, reason in said.items() if reason}
            result |= {"errors": found["errors"], "failed": failed}
            versions = {
                name: version
                for name, version in found["versions"].items()
                if name not in failed and mode in FRAMEWORKS[name].modes
            }
            result |= timed(versions, case, mode, operations, args.rounds)
            print_result(result)
            results.append(result)
    return results


def timed(
    versions: dict[str, str], case: dict[str, Any], mode: str, operations: int, count: int
) -> dict[str, Any]:
    """Return the machine's peak, and what rounds and memory of each framework say."""
    with started(versions, case["threads"]) as workers:
        begun = {
            name: worker.ask("begin", case=case, mode=mode) for name, worker in workers.items()
        }
        rounds: dict[str, list[Round]] = {name: [] for name in workers}
        for i in range(count):
            for name in list(workers)[:: -1 if i % 2 else 1]:
                rounds[name].append(workers[name].ask("round", steps=begun[name][0]))
        # last: the threads of NumPy's BLAS go on spinning for a while, and took a processor from
        # the round that followed
        peak = max(workers["deepfs"].ask("peak", dtype=case["dtype"]) for _ in range(3))
    frameworks = {
        name: {"version": version, "memory_mb": begun[name][1], "step_mb": begun[name][2]}
        | summary(rounds[name], rounds["deepfs"], operations)
        for name, version in versions.items()
    }
    return {"peak_gflops": peak, "frameworks": frameworks}


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
    f"  {'framework':<29}{'median ms':>10}{'best ms':>10}{'ratio':>8}{'(best)':>8}{'GFLOP/s':>10}"
    f"{'% of peak':>11}{'MB':>7}{'of a step':>11}"
)


def print_result(result: dict[str, Any]) -> None:
    """Print a row per framework; the ratio is how many times deepfs's time it takes."""
    print("{network}, {mode}, batch {batch}, threads {threads}, {dtype}".format(**result))
    for name, r in result["frameworks"].items():
        ratio = f"{r['ratio']:8.2f}{r['ratio_best']:8.2f}" if name != "deepfs" else " " * 16
        print(
            f"  {name:<29}{r['median_ms']:10.3f}{r['best_ms']:10.3f}{ratio}{r['gflops']:10.1f}"
            f"{100 * r['gflops'] / result['peak_gflops']:11.0f}{r['memory_mb']:7.0f}"
            + ("" if r["step_mb"] is None else f"{r['step_mb']:11.1f}")
        )
        if r["processors"] > result["threads"] + 0.1:
            print(f"  note: {name} kept {r['processors']:.2f} processors busy")
    for name, reason in result["failed"].items():
        print(f"  {name:<29}not timed: {reason}")
    sys.stdout.flush()


def machine() -> dict[str, Any]:
    """Return what the figures depend on."""
    import cnn_core

    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    fields = {}  # of the first processor
    for line in reversed(lines):
        key, _, value = line.partition(":")
        fields[key.strip()] = value.strip()
    amx = "amx_tile" in fields.get("flags", "").split()
    return {
        "cpu": fields.get("model name") or platform.processor() or platform.machine(),
        "family": fields.get("cpu family"),  # an "AMD EPYC" may be of any year
        "model": fields.get("model"),
        "processors": os.cpu_count(),
        "level": cnn_core.level,
        "amx": amx,
        "commit": commit(),
        "date": time.strftime("%Y-%m-%d"),
        "system": platform.platform(),
        "python": platform.python_version(),
        "numpy": np.__version__,
    }


def commit() -> str:
    """Return the commit of the tree in which deepfs lies; "+" means that files have changed."""

    def git(*words: str) -> str:
        found = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True)
        return found.stdout.strip() if found.returncode == 0 else ""

    spec = importlib.util.find_spec("deepfs")
    folder = Path(spec.origin).parent if spec and spec.origin else Path(__file__).parent
    try:
        if not git("ls-files", "__init__.py"):  # an installed one may lie within another tree
            return "unknown"
        changed = git("status", "--porcelain", "--untracked-files=no", ":/")
        return git("rev-parse", "--short", "HEAD") + "+" * bool(changed)
    except OSError:
        return "unknown"


def about(names: list[str]) -> dict[str, str]:
    """Return version, instruction set and use of AMX; of several alike, of the first."""
    said: dict[str, str] = {}
    seen = set()
    for name in names:
        kind = FRAMEWORKS[name]
        what = kind.package, kind.arithmetic, *kind.environment.items()
        if what in seen:
            continue
        seen.add(what)
        worker = Worker(name, 1, ONEDNN_VERBOSE="1", MKL_VERBOSE="1")
        try:
            told = worker.ask("about")
            said[name] = told + kernels(worker.printed())
        except RuntimeError as error:
            said[name] = str(error)
        finally:
            worker.close()
    return said


def kernels(printed: str) -> str:
    """Return the instruction set in the reports of oneDNN and MKL, and whether they use AMX."""
    said = ""
    for line in printed.splitlines():
        if line.startswith("onednn_verbose") and ",cpu,isa:" in line:
            said += f", oneDNN: {line.partition('isa:')[2]}"
    ran = [line for line in printed.splitlines() if ",exec,cpu," in line or "GEMM" in line]
    return f"{said}, AMX {'used' if 'amx' in str(ran).lower() else 'not used'}" if ran else said


@contextmanager
def neighbours(count: int) -> Iterator[None]:
    """Keep processes running that do nothing but want a processor each."""
    endless = [sys.executable, "-c", "while True: pass"]
    running = [subprocess.Popen(endless) for _ in range(count)]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


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
    usual = [name for name in known if not FRAMEWORKS[name].on_request]
    add("--peers", nargs="*", choices=known, default=usual, metavar="NAME",
        help="any of %(choices)s; by default those installed, but for avx2 and flush")  # fmt: skip
    add("--batch", nargs="+", type=positive, default=[100], metavar="N", help="images per step")
    add("--threads", nargs="+", type=positive, default=[1], metavar="N", help="of every framework")
    add("--mode", nargs="+", choices=("train", "infer"), default=["train"], help="what is timed")
    add("--dtype", choices=("float32", "float64"), default="float32",
        help="%(default)s by default; in float64 the only peer is PyTorch")  # fmt: skip
    add("--level", choices=("v2", "v3", "v4"), help="deepfs's instruction set; the best by default")
    add("--rounds", type=positive, default=9, help="of about 0.3 s, per framework (%(default)s)")
    add("--busy", type=positive, default=0, metavar="N",
        help="processes beside them that each want a processor; none by default")  # fmt: skip
    add("--against", type=Path, metavar="BUILD",
        help="time another build of deepfs, not other frameworks: a checkout built in place, a "
        "virtual environment or its Python")  # fmt: skip
    add("--only", nargs="+", default=[""], metavar="PART",
        help="with --against: rows with one of these in their name")  # fmt: skip
    add("--pairs", type=positive, default=builds.PAIRS, metavar="N",
        help="with --against: processes of either build (%(default)s)")  # fmt: skip
    add("--seconds", type=float, default=builds.SECONDS, metavar="S",
        help="with --against: per row and process (%(default)s)")  # fmt: skip
    add("--worker", help=argparse.SUPPRESS)
    args = parsed(parser)
    if args.against and args.pairs < builds.MIN_PAIRS:
        parser.error(f"--pairs must be at least {builds.MIN_PAIRS} for an interval of 95 %")
    return args


def parsed(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """Add --json and return what the command line asks for; refuse what could not be run."""
    text = "write everything, every round included"
    parser.add_argument("--json", type=Path, metavar="FILE", help=text)
    args = parser.parse_args()
    if importlib.util.find_spec("deepfs") is None:
        parser.error("deepfs is not installed for this Python: pip install .")
    if args.json and not args.json.resolve().parent.is_dir():
        parser.error(f"--json needs a folder that exists, got {args.json}")
    return args


def against(args: argparse.Namespace) -> int:
    """Compare two builds of deepfs; return the exit status."""
    here = machine()
    print("{cpu}, {processors} processors, {system}, commit {commit}".format(**here))
    try:
        rows, status = builds.against(args)
    except (OSError, RuntimeError, ValueError) as error:
        print(f"compare.py: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("compare.py: interrupted", file=sys.stderr)
        return 130
    if args.json:
        args.json.write_text(json.dumps({"machine": here, "rows": rows}, indent=1) + "\n")
    return status


def main() -> int:
    """Run all cases; return the exit status."""
    args = arguments()
    if args.worker:
        work(args.worker)
        return 0
    if args.level:
        os.environ["DEEPFS_ISA"] = args.level
    if args.against:
        return against(args)
    missing = [n for n in args.peers if importlib.util.find_spec(FRAMEWORKS[n].package) is None]
    args.peers = [name for name in args.peers if name not in missing]
    for name in missing:
        print(f"{name}: not installed")
    report: dict[str, Any] = {"machine": machine(), "not_installed": missing, "results": []}
    report["frameworks"] = about(["deepfs", *args.peers])
    print("{cpu}, {processors} processors, commit {commit}, {date}".format(**report["machine"]))
    print(f"the processor {'has' if report['machine']['amx'] else 'has no'} AMX")
    for name, said in report["frameworks"].items():
        print(f"  {name}: {said}")
    print(HEAD)
    status = 0
    try:
        with neighbours(args.busy):
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
