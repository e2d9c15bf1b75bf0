"""``deepfs check-layer``: check a layer of one's own, at every instruction-set level here."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import cnn_core
from cnn_core import _cpu

from ..testing import check_layer
from . import _values as values
from ._layer_of import layer_of, shape_of

AT = "at level"  # begins the line that ends a failure


def add_parser(commands: Any) -> None:
    """Add the command to those of ``deepfs``."""
    text = "Check the gradients of a layer of your own, and all else that training relies on."
    parser = commands.add_parser("check-layer", help=text, description=text)
    parser.epilog = (
        "The layer is checked in training and in inference, at each instruction-set level of this "
        "machine. The exit status is 1 if anything is wrong: a line says what, for each failure."
    )
    parser.add_argument("layer", metavar="MODULE:CLASS",
                        help="a class, a layer, or a function that returns one, such as "
                        "swish:Swish")  # fmt: skip
    parser.add_argument("--input", type=shape_of, action="append", default=None, metavar="SHAPE",
                        help="shape of a batch, such as 2,3,8,8; may be given several times "
                        "(default: shapes that the layer takes)")  # fmt: skip
    parser.add_argument("--level", choices=levels(), default=None, metavar="LEVEL",
                        help=f"one instruction-set level alone: {', '.join(levels())} (default: "
                        "all of these)")  # fmt: skip
    parser.add_argument("--seed", type=partial(values.count, least=0), default=0, metavar="N",
                        help="seed of the inputs (default: 0)")  # fmt: skip
    parser.set_defaults(run=_run)


def levels() -> list[str]:
    """Return the instruction-set levels that this machine can run and that were built."""
    here = Path(cnn_core.__file__).parent
    return [level for level in ("native", *_cpu.levels()) if (here / f"_{level}").is_dir()]


def _run(options: argparse.Namespace, given: Sequence[str]) -> int:
    if options.level not in (None, cnn_core.level):
        done = _elsewhere(given, options.level)
        print(done.stdout, end="")
        print(done.stderr, end="", file=sys.stderr)
        return done.returncode
    said, failed = _here(options)
    print(said)
    status = int(failed)
    for level in [] if options.level else levels():
        if level == cnn_core.level:
            continue
        done = _elsewhere(given, level)
        print(_news(done.stdout, said, level))
        print(done.stderr, end="", file=sys.stderr)
        status = max(status, done.returncode)
    return status


def _here(options: argparse.Namespace) -> tuple[str, bool]:
    """Check the layer at the level of this process; return what is said, and if it failed."""
    layer, failed = layer_of(options.layer), False
    rng = np.random.default_rng(options.seed)
    inputs = [rng.standard_normal(shape) for shape in options.input or ()]
    said = []
    for x in inputs or [None]:
        for training in (True, False):
            try:
                said.append(repr(check_layer(layer, x, training, options.seed)))
            except AssertionError as error:
                failed = True
                said.append(f"{error}\n{AT} {cnn_core.level}")
    return "\n\n".join(said), failed


def _elsewhere(given: Sequence[str], level: str) -> subprocess.CompletedProcess[str]:
    """Check it at another level, for which a process must begin anew."""
    return subprocess.run(
        [sys.executable, "-m", "deepfs", *given, "--level", level],
        env=os.environ | {"DEEPFS_ISA": level}, capture_output=True, text=True, check=False,
    )  # fmt: skip


def _news(theirs: str, ours: str, level: str) -> str:
    """Return what another level says, without what this one has said: no table, no same failure."""
    same = theirs.strip() == ours.replace(f"{AT} {cnn_core.level}", f"{AT} {level}")
    if same and f"{AT} {level}" in theirs:
        return f"the same {AT} {level}"
    parts = theirs.strip().split("\n\n")
    short = [p if AT in p else p.rpartition("\n")[2] for p in parts]
    return "\n".join(short)
