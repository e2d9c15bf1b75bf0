"""Does `check_layer` find what is wrong with a layer? Run it on layers with one fault each.

    python tools/layer_faults.py

The layers, and what must be said of each, are in ``tests/layer_faults.py``. Prints a line
per run: found and blamed rightly, blamed on something else, or missed; and what was said. The exit
status is 1 if one that can be found is not blamed rightly.
"""

from __future__ import annotations

import re
import sys
import time
import warnings
from pathlib import Path

import numpy as np

from deepfs.testing import check_layer

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from layer_faults import FAULTS, KNOWN, Fault


def said_of(fault: Fault) -> list[str]:
    """Return what `check_layer` says of a layer, a line per failure."""
    x = np.random.default_rng(0).standard_normal(fault.shape)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            check_layer(fault.layer(), x, fault.training)
    except AssertionError as error:
        return str(error).splitlines()[1:]
    return []


def main() -> int:
    right, wrong = 0, 0
    for number, fault in enumerate(FAULTS):
        if number == len(KNOWN):
            print()
        started = time.perf_counter()
        said = said_of(fault)
        verdict = "missed" if not said else "right" if re.match(fault.says, said[0]) else "WRONG"
        verdict = verdict if said or not fault.says else "MISSED"
        right += verdict == "right"
        wrong += verdict.isupper()
        print(
            f"{verdict:<7}{fault.layer.__name__:<18}{fault.shape!s:<14}"
            f"{time.perf_counter() - started:5.2f} s  {said[0][:150] if said else '-'}"
            + "".join(f"\n{'':41}also {line[:150]}" for line in said[1:])
        )
    kinds = {fault.layer for fault in FAULTS}
    print(f"\n{len(FAULTS)} runs of {len(kinds)} layers: {right} found and blamed rightly")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
