"""Measure the README's tables of speed and memory, and print them.

    python benchmarks/tables.py results.json --measure    # on 2 quiet processors: about 20 minutes
    python benchmarks/tables.py results.json              # print them again, nothing is measured

`compare.py` runs three times: training and inference on one thread, training on two, both at batch
1. Its answers go to the file after each run; `--measure` again runs what is missing in it. The
tables say processor, commits and dates; a file is of one processor. Needs PyTorch, and a C++
compiler for its compiled rows. A peer that could not be timed leaves its column empty; so does
bfloat16 on a processor without instructions for it, which would take most of the time.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

from compare import machine
from frameworks import NETWORKS

Results = dict[tuple[str, int, int, str], dict[str, Any]]  # network, threads, batch, mode

LAYOUTS = ("torch", "torch-channels-last")
BFLOAT16 = ("torch-bfloat16", "torch-bfloat16-channels-last")
TRAINING = (*LAYOUTS, "torch-compile", *BFLOAT16)
INFERENCE = (*LAYOUTS, "torch-frozen")
SMALL = ("mlp", "simple", "lenet", "deep")  # at batch 1
RUNS = {  # arguments of compare.py, beside the number of rounds
    "one thread": ["--mode", "train", "infer", "--peers", *TRAINING, "torch-frozen",
                   "deepfs-predictor"],
    "two threads": ["--threads", "2", "--peers", *TRAINING],
    "batch 1": ["--batch", "1", "--mode", "train", "infer", "--peers", *INFERENCE,
                "deepfs-predictor"],
}  # fmt: skip


def has_bfloat16() -> bool:
    """Return whether the processor has instructions for bfloat16, as far as the system says."""
    info = Path("/proc/cpuinfo")
    flags = set(info.read_text().split()) if info.exists() else set()
    return not flags.isdisjoint({"amx_bf16", "avx512_bf16", "bf16"})


def processor(known: dict[str, Any]) -> str:
    """Return the name of a machine's processor, with the numbers that tell its generation."""
    numbers = (f", {key} {known[key]}" for key in ("family", "model") if known.get(key))
    return known["cpu"] + "".join(numbers)


def measure(file: Path, networks: list[str], rounds: int) -> None:
    """Run `compare` for each table that the file does not have; add its report to the file."""
    reports = json.loads(file.read_text()) if file.is_file() else {}
    here = processor(machine())
    for report in reports.values():
        if processor(report["machine"]) != here:
            raise SystemExit(
                f"tables.py: {file} is of {processor(report['machine'])}, this is {here}: give "
                "another file"
            )
    script = str(Path(__file__).with_name("compare.py"))
    left_out = () if has_bfloat16() else BFLOAT16
    for name, words in RUNS.items():
        fit = [n for n in networks if name != "batch 1" or n in SMALL]
        if name in reports:
            print(f"{name}: {file} has it, of {reports[name]['machine']['date']}", file=sys.stderr)
        if name in reports or not fit:
            continue
        begin = time.perf_counter()
        words = [word for word in words if word not in left_out]
        with tempfile.TemporaryDirectory() as folder:
            report = Path(folder, "report.json")
            words += ["--networks", *fit, "--rounds", str(rounds), "--json", str(report)]
            done = subprocess.run([sys.executable, script, *words], check=False)
            if done.returncode not in (0, 1):
                raise SystemExit(f"tables.py: compare.py ended with {done.returncode}")
            reports[name] = json.loads(report.read_text())
        file.write_text(json.dumps(reports, indent=1) + "\n")
        print(f"{name}: {(time.perf_counter() - begin) / 60:.1f} minutes", file=sys.stderr)


def by_case(reports: dict[str, Any]) -> Results:
    """Return what each framework did, by case."""
    return {
        (r["network"], r["threads"], r["batch"], r["mode"]): r["frameworks"]
        for report in reports.values()
        for r in report["results"]
    }


def ratio(found: dict[str, Any], peers: Iterable[str], base: str = "deepfs") -> str:
    """Return how many times the base's time the fastest of some peers takes, median of rounds."""
    timed = [found[name]["rounds_ms"] for name in peers if name in found]
    if not timed or base not in found:
        return ""
    best = min(timed, key=median)
    rounds = zip(best, found[base]["rounds_ms"], strict=True)
    return f"{median(theirs / ours for theirs, ours in rounds):.2f}"


def milliseconds(found: dict[str, Any], name: str = "deepfs") -> str:
    """Return a time with two digits or three."""
    if name not in found:
        return ""
    ms = found[name]["median_ms"]
    return f"{1000 * ms:.0f} µs" if ms < 0.1 else f"{ms:.3g} ms" if ms < 100 else f"{ms:.0f} ms"


def megabytes(found: dict[str, Any], peers: Iterable[str], key: str) -> str:
    """Return the least memory of some frameworks."""
    sizes = [found[name][key] for name in peers if name in found]
    return f"{min(sizes):.0f}" if sizes and None not in sizes else ""


def training(results: Results, names: list[str]) -> Iterator[list[str]]:
    """Yield the rows of training, the names of the columns first."""
    peers = {"PyTorch": ["torch"], "channels-last": ["torch-channels-last"],
             "compiled": ["torch-compile"], "bfloat16": BFLOAT16}  # fmt: skip
    yield ["training step", *(cell for n in ("1 thread", "2 threads") for cell in (n, *peers))]
    for name in names:
        row = [f"`{NETWORKS[name][0]}`"]
        for threads in (1, 2):
            found = results.get((name, threads, 100, "train"), {})
            row += [milliseconds(found), *(ratio(found, group) for group in peers.values())]
        yield row


def inference(results: Results, names: list[str]) -> Iterator[list[str]]:
    """Yield the rows of inference at batch 100; ratios are against the predictor."""
    yield ["inference, 1 thread", "`model.network(x)`", "`model.predictor()`", "PyTorch",
           "channels-last", "compiled and frozen"]  # fmt: skip
    for name in names:
        found = results.get((name, 1, 100, "infer"), {})
        ratios = (ratio(found, [peer], "deepfs-predictor") for peer in INFERENCE)
        times = milliseconds(found), milliseconds(found, "deepfs-predictor")
        yield [f"`{NETWORKS[name][0]}`", *times, *ratios]


def one_image(results: Results, names: list[str]) -> Iterator[list[str]]:
    """Yield the rows of batch 1."""
    yield ["batch 1, 1 thread", "training step", "PyTorch's best layout", "`model.predictor()`",
           "PyTorch's best layout", "compiled and frozen"]  # fmt: skip
    for name in names:
        if name not in SMALL:
            continue
        train, infer = (results.get((name, 1, 1, mode), {}) for mode in ("train", "infer"))
        yield [f"`{NETWORKS[name][0]}`", milliseconds(train), ratio(train, LAYOUTS),
               milliseconds(infer, "deepfs-predictor"),
               ratio(infer, LAYOUTS, "deepfs-predictor"),
               ratio(infer, ["torch-frozen"], "deepfs-predictor")]  # fmt: skip


def memory(results: Results, names: list[str]) -> Iterator[list[str]]:
    """Yield the rows of memory; of PyTorch's layouts the smaller."""
    yield ["memory of training, 1 thread, MB", "process", "PyTorch", "of a step", "PyTorch"]
    for name in names:
        found = results.get((name, 1, 100, "train"), {})
        cells = (
            megabytes(found, group, key)
            for key in ("memory_mb", "step_mb")
            for group in (["deepfs"], LAYOUTS)
        )
        yield [f"`{NETWORKS[name][0]}`", *cells]


def markdown(reports: dict[str, Any], names: list[str]) -> Iterator[str]:
    """Yield the lines of all tables."""
    report = next(iter(reports.values()))
    of, results = report["machine"], by_case(reports)
    commits, dates = (
        {each["machine"][key]: 0 for each in reports.values()} for key in ("commit", "date")
    )
    yield (
        f"Measured on {processor(of)} ({'with' if of['amx'] else 'without'} AMX), "
        f"{of['processors']} processors, commit {', '.join(commits)}, {', '.join(dates)}, "
        "float32, batch 100 unless said otherwise."
    )
    yield ""
    yield from (f"- {name}: {said}" for name, said in report["frameworks"].items())
    for table in (training, inference, one_image, memory):
        head, *rows = table(results, names)
        yield ""
        for cells in (head, ["---"] * len(head), *rows):
            yield f"| {' | '.join(cells)} |".replace("| --- ", "|---").replace("--- |", "---|")


def main() -> None:
    """Measure if asked to, and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("file", type=Path, help="results, as JSON")
    parser.add_argument("--measure", action="store_true", help="what the file lacks")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--rounds", type=int, default=5, help="of about 0.3 s each (%(default)s)")
    args = parser.parse_args()
    if args.measure:
        measure(args.file, args.networks, args.rounds)
    if not args.file.is_file():
        parser.error(f"{args.file} does not exist: measure it with --measure")
    print("\n".join(markdown(json.loads(args.file.read_text()), args.networks)))


if __name__ == "__main__":
    main()
