"""Check the gradients of all networks and layers at random inputs: every one must pass.

    python tools/gradients.py [--inputs 50] [--entries 10] [--only WORD]

Inputs and weights are drawn anew each time; `deepfs.testing.check_layer` compares that many entries
of each array, in training mode. Random inputs lie near kinks of some of the thousands of units of a
network, so this also tests that kinks are recognised. The exit status is 1 if a check fails.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

import deepfs as dfs
from deepfs.layers import Layer
from deepfs.testing import check_layer

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import network_cases
from every_layer import CASES


def subjects() -> Iterator[tuple[str, Callable[[], Layer], tuple[int, ...]]]:
    """Yield what to check: a name, how to make it, the shape of an input."""
    for case in network_cases.CASES:
        yield f"networks.{case.name}", case.make, (3, *case.small)
    yield from CASES


def main() -> int:
    parser = argparse.ArgumentParser(description="Gradients at random inputs.")
    parser.add_argument("--inputs", type=int, default=50)
    parser.add_argument("--entries", type=int, default=10)
    parser.add_argument("--only", default="", help="names that contain this")
    options = parser.parse_args()
    wrong, checked, at_kinks = 0, 0, 0
    print(f"{'':45}{'worst error':>12}{'checked':>10}{'at kinks':>10}{'float32':>11}")
    for name, make, shape in subjects():
        if options.only not in name:
            continue
        reports = []
        for seed in range(options.inputs):
            dfs.set_seed(seed)
            x = np.random.default_rng(seed).standard_normal(shape)
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", UserWarning)  # few entries, and all at kinks
                    reports.append(check_layer(make(), x, seed=seed, entries=options.entries))
            except AssertionError as error:
                wrong += 1
                print(f"{name}, input {seed}: {str(error).strip()}", flush=True)
        counts = [sum(getattr(report, count) for report in reports)
                  for count in ("checked", "at_kinks", "float32_at_kinks")]  # fmt: skip
        worst = max((report.worst for report in reports), default=float("nan"))
        print(
            f"{name[:44]:45}{worst:12.1e}{counts[0]:10,}{counts[1]:10,}{counts[2]:11,}", flush=True
        )
        checked, at_kinks = checked + counts[0], at_kinks + counts[1]
    print(f"{checked:,} entries checked, {at_kinks:,} at kinks, {wrong} checks failed")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
