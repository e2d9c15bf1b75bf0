"""Plant faults in the code, one at a time, and count how many the tests catch.

    python tools/mutate.py                        # all of faults.txt: about 25 minutes
    python tools/mutate.py python/                # those in Python, which compile nothing
    python tools/mutate.py conv.pyx "of a tap"    # those whose file or name has one of these in it
    python tools/mutate.py --under "nice -n 19"   # builds and tests run under this command
    python tools/mutate.py --check                # only whether each text occurs once: a second

Works in a temporary copy of the tree, built for this processor alone, in which the tests must pass.
Then each fault is planted there, what has changed is compiled, and the test files that concern it
run. A fault is caught if a test fails, the process crashes, or it hangs. One whose text does not
occur exactly once in its file, or that does not compile, is an error: the list cannot rot unseen.

Exits 1 if fewer than 95 % are caught, or one that makes a gradient wrong is not. Linux: `timeout`.
"""

import argparse
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

TREE = Path(__file__).resolve().parents[1]
COPIED = ["setup.py", "pyproject.toml", "README.md", "LICENSE", "build", "src", "python", "tests"]
COPIED += ["tools", "benchmarks", "docs"]  # some tests import from them, or read them
HANGS = 60  # seconds; the slowest tests of a fault take about 8
ENOUGH = 0.95


@dataclass
class Fault:
    """One change of one file."""

    path: str
    tests: list[str]
    what: str
    old: list[str] = field(default_factory=list)
    new: list[str] = field(default_factory=list)

    @property
    def backward(self) -> bool:
        """Whether it makes a gradient wrong."""
        return self.what.startswith("backward: ")

    @property
    def row(self) -> str:
        """Where the table counts it: its kernel, or its folder."""
        path = Path(self.path)
        return path.name if path.suffix == ".pyx" else f"{path.parent}/"

    def planted(self, source: str) -> str:
        """Return the text of the file with the fault."""
        found = list(re.finditer(r"\n *".join(map(re.escape, self.old)), source))
        if not self.old or len(found) != 1:
            sys.exit(f"{self.path} has {len(found)} times, not once:\n{self}")
        start, stop = found[0].span()
        indent = " " * (start - source.rfind("\n", 0, start) - 1)
        return source[:start] + f"\n{indent}".join(self.new) + source[stop:]


def listed(text: str) -> list[Fault]:
    """Read the list of faults."""
    faults: list[Fault] = []
    path, tests = "", [""]
    for line in text.splitlines():
        mark, rest = line[:2], line[2:]
        if mark == "= ":
            path, stems = rest.split(": ")
            tests = [f"tests/test_{stem}.py" for stem in stems.split()]
        elif mark == "- ":
            faults[-1].old.append(rest)
        elif mark == "+ ":
            faults[-1].new.append(rest)
        elif line and mark != "# ":
            faults.append(Fault(path, tests, line))
    return faults


def complaint(
    tree: Path, tests: list[str], under: list[str], seconds: int = HANGS, build: bool = True
) -> str:
    """Compile what has changed, run tests, and return what they did not like, or nothing."""
    folders = f"{tree / 'src'}{os.pathsep}{tree / 'python'}"
    # no bytecode: that of a fault could pass for that of a file restored within a second
    env = {"PYTHONPATH": folders, "PYTHONDONTWRITEBYTECODE": "1"}
    script = f"""
        {'DEEPFS_NATIVE=1 "$0" setup.py -q build_ext --inplace || exit 99' if build else ""}
        exec timeout --signal=KILL {seconds} "$0" -m pytest -x -q -p no:cacheprovider "$@"
    """
    done = subprocess.run(
        [*under, "sh", "-c", script, sys.executable, *tests],
        cwd=tree, env=os.environ | env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    code = done.returncode if done.returncode >= 0 else 128 - done.returncode  # as a shell says it
    if code in (0, 137):
        return "it hangs" if code else ""
    if code > 128:
        return f"it crashes, signal {code - 128}"
    if code == 2 and "KeyboardInterrupt" in done.stdout:
        return "it interrupts the tests"
    failed = re.search(r"^(?:FAILED|ERROR) tests/([^\s[]+)", done.stdout, re.MULTILINE)
    if code == 99 or failed is None:
        sys.exit(f"it does not compile, or pytest does not run ({code}):\n{done.stdout[-2000:]}")
    return failed[1]


def built(tree: Path) -> bool:
    """Return whether there are compiled kernels in a tree."""
    return any(path.suffix in (".so", ".pyd") for path in (tree / "src" / "cnn_core").iterdir())


def table(caught: dict[str, list[bool]]) -> str:
    """Return planted and caught faults, by name, as Markdown."""
    lines = ["| | planted | caught |", "|---|---|---|"]
    return "\n".join([*lines, *(f"| {k} | {len(v)} | {sum(v)} |" for k, v in caught.items())])


def main() -> int:
    """Plant every fault and print what became of it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("only", nargs="*", default=[""], help="parts of file: name")
    parser.add_argument("--under", default="", help="a command that runs builds and tests")
    parser.add_argument("--check", action="store_true", help="plant nothing")
    options = parser.parse_args()
    faults = listed((TREE / "tools" / "faults.txt").read_text("utf-8"))
    for fault in faults:  # all of them, and before anything is built
        fault.planted((TREE / fault.path).read_text("utf-8"))
    if options.check:
        print(f"{len(faults)} faults, each of which fits the code")
        return 0
    faults = [f for f in faults if any(part in f"{f.path}: {f.what}" for part in options.only)]
    if not faults:
        parser.error(f"no fault has {' or '.join(options.only)} in its file or name")
    caught: dict[str, list[bool]] = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="mutate-") as folder:
        parts = [str(TREE / name) for name in COPIED if (TREE / name).exists()]
        subprocess.run(["cp", "-a", *parts, folder], check=True)  # with times: nothing builds twice
        tree, under = Path(folder), shlex.split(options.under)
        tests = sorted({test for fault in faults for test in fault.tests})
        # kernels of the tree itself will do for faults in Python
        build = any(f.path.startswith("src/") for f in faults) or not built(tree)
        wrong = complaint(tree, tests, under, 10 * HANGS, build)
        if wrong:
            sys.exit(f"without any fault: {wrong}")
        planted = ""  # where the fault before was: a kernel is compiled again with the next one
        for fault in faults:
            path = tree / fault.path
            source = path.read_text("utf-8")
            path.write_text(fault.planted(source), "utf-8")
            compiled = any(name.startswith("src/") for name in (planted, fault.path))
            seen = complaint(tree, fault.tests, under, build=compiled)
            path.write_text(source, "utf-8")
            planted = fault.path
            for name in (fault.row, "all", *["backward"] * fault.backward):
                caught[name].append(bool(seen))
            print(f"{path.name}: {fault.what}: {seen or 'SURVIVED'}", flush=True)
    last = {name: caught.pop(name) for name in ("backward", "all") if name in caught}
    print(f"\n{table(caught | last)}")
    enough = sum(last["all"]) >= ENOUGH * len(faults) and all(last.get("backward", []))
    return int(not enough)


if __name__ == "__main__":
    sys.exit(main())
