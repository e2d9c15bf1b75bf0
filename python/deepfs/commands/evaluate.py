"""``deepfs evaluate``: measure a saved model."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

from .._command import printable
from ..config import set_num_threads
from ._model_of import model_of
from ._sets import images_for

PARTS = ("test", "validation", "training")  # the first that there is


def evaluate(options: argparse.Namespace, given: Sequence[str]) -> None:
    """Run ``deepfs evaluate``."""
    if options.threads:
        set_num_threads(options.threads)
    model = model_of(options)
    told, data = images_for(model, options.model, options.dataset, options.data, PARTS)
    started = time.monotonic()
    measured = model.evaluate(data, batch_size=256, report=options.report)
    speed = data.samples / (time.monotonic() - started)
    print(f"{printable(options.model)} on {data.samples:,} {printable(told)}, "
          f"{speed:,.0f} images/s")  # fmt: skip
    if options.report:
        print("", *map(printable, str(measured).splitlines()), sep="\n")
        return
    for name, value in measured.items():
        print(f"{name:<9} {value:.2%}" if name == "accuracy" else f"{name:<9} {value:.4f}")
