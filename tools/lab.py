"""Run experiments of the lab: seconds, whether the findings hold, pictures and tables of docs.

    python tools/lab.py                          # the normal form of each, a table
    python tools/lab.py --quick --seeds 0 1 2 3 4 --twice
    python tools/lab.py overfitting ravine --full
    python tools/lab.py --pictures docs/pictures/lab   # of the quick forms
    python tools/lab.py --table docs/lab.md            # its list of experiments

The exit status is 1 if a finding does not hold, an experiment fails or takes too long, or, with
--twice, gives other numbers the second time. Seconds are those of the clock or of the processor,
whichever are fewer: other programs may be running.
"""

from __future__ import annotations

import argparse
import inspect
import io
import re
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import deepfs as dfs
from deepfs import lab

LIMITS = {"quick": 3, "normal": 60, "full": 3600}  # seconds
COLOURS, PICTURE_DPI = 64, 80  # of the pictures of docs
BEGIN, END = "<!-- experiments: tools/lab.py --table -->\n", "<!-- end of experiments -->\n"


@dataclass
class Row:
    """What the runs of one experiment showed."""

    name: str
    seconds: list[float] = field(default_factory=list)
    found: list[bool] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    result: Any = None

    def __str__(self) -> str:
        seconds = f"{max(self.seconds):8.2f}" if self.seconds else "       -"
        found = f"{sum(self.found)}/{len(self.found)}"
        return f"{self.name:28} {seconds}  {found:>5}  {'; '.join(self.faults)}"


def run(name: str, form: str, seeds: list[int], twice: bool) -> Row:
    """Run one experiment with each seed."""
    row, function = Row(name), lab.find(name)
    settings = {form: True} if form != "normal" else {}
    for seed in seeds:
        dfs.set_seed(seed + 1)  # no experiment depends on it
        clock, processor = time.perf_counter(), time.process_time()
        try:
            result = function(seed=seed, **settings)
        except Exception as error:
            row.faults.append(f"seed {seed}: {type(error).__name__}: {error}")
            row.found.append(False)
            continue
        clock, processor = time.perf_counter() - clock, time.process_time() - processor
        row.seconds.append(min(clock, processor))
        row.found.append(bool(result.found))
        if not result.found:
            row.faults.append(f"seed {seed}: not found")
        row.result = row.result or result
        if twice and not same(result, function(seed=seed, **settings)):
            row.faults.append(f"seed {seed}: other numbers the second time")
    if row.seconds and max(row.seconds) > LIMITS[form]:
        row.faults.append(f"takes more than {LIMITS[form]} s")
    return row


def same(a: Any, b: Any) -> bool:
    """Return whether two results have the same numbers; times of the clock say so in their name."""
    for key, value in a.numbers.items():
        if re.search(r"\b(time|ms|us|seconds?|s|faster|speed|per second)\b", key):
            continue
        if not np.array_equal(value, b.numbers.get(key)):
            return False
    return a.numbers.keys() == b.numbers.keys()


def save_picture(result: Any, folder: Path) -> None:
    """Write the picture of a result with few colours, as docs have it."""
    from matplotlib.figure import Figure
    from PIL import Image

    figure, data = Figure(figsize=result.size, layout="constrained"), io.BytesIO()
    result.draw(figure)
    figure.savefig(data, dpi=PICTURE_DPI)
    path = folder / f"{result.name.replace('_', '-')}.png"
    small = Image.open(data).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    small.save(path, optimize=True)
    print(f"  {path}: {path.stat().st_size / 1000:.1f} kB")


def table() -> str:
    """Return the experiments by group, as tables of Markdown."""
    lines = []
    for group, members in lab.groups().items():
        if not members:
            continue
        lines += [
            "",
            f"### {lab.GROUPS[group][0]}",
            "",
            "| experiment | what it shows |",
            "|---|---|",
        ]
        for name in members:
            title = lab.find(name).title["en"].replace("|", r"\|")
            full = " (`--full`)" * ("full" in inspect.signature(lab.find(name)).parameters)
            lines.append(f"| `{name.replace('_', '-')}` | {title}{full} |")
    return "\n".join([*lines[1:], ""])


def write_table(path: Path) -> None:
    """Write the tables between their marks on a page."""
    before, _, rest = path.read_text("utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    path.write_text(f"{before}{BEGIN}\n{table()}\n{END}{after}", "utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="experiments (default: all)")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--quick", dest="form", action="store_const", const="quick")
    form.add_argument("--full", dest="form", action="store_const", const="full",
                      help="those that train on all of MNIST")  # fmt: skip
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], metavar="N")
    parser.add_argument("--twice", action="store_true", help="ask for the same numbers twice")
    parser.add_argument("--pictures", type=Path, metavar="FOLDER",
                        help="write the pictures of docs there, of the quick forms")  # fmt: skip
    parser.add_argument("--table", type=Path, metavar="PAGE.md", help="write the list, run nothing")
    arguments = parser.parse_args()
    if arguments.table:
        write_table(arguments.table)
        return 0
    form_name = "quick" if arguments.pictures else arguments.form or "normal"
    chosen = [lab.find(name).__name__ for name in arguments.names] or lab.names()
    if form_name == "full":
        chosen = [n for n in chosen if "full" in inspect.signature(lab.find(n)).parameters]
    if arguments.pictures:
        arguments.pictures.mkdir(parents=True, exist_ok=True)
    print(f"{form_name} form, seeds {arguments.seeds}\n{'experiment':28}  seconds  found")
    rows = []
    for name in chosen:
        rows.append(run(name, form_name, arguments.seeds, arguments.twice))
        print(rows[-1], flush=True)
        if arguments.pictures and rows[-1].result is not None:
            save_picture(rows[-1].result, arguments.pictures)
    faults = sum(bool(row.faults) for row in rows)
    total = sum(sum(row.seconds) for row in rows)
    print(f"{len(rows)} experiments, {total:.1f} s, {faults} with faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
