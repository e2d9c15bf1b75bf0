"""``deepfs bench-layer``: time a layer beside a copy of its bytes and a built-in layer."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..config import get_num_threads, set_num_threads
from ..testing import bench_layer
from . import _values as values
from ._layer_of import layer_of, shape_of


def add_parser(commands: Any) -> None:
    """Add the command to those of ``deepfs``."""
    text = "Time a layer of your own, beside a copy of its bytes and the nearest built-in layer."
    parser = commands.add_parser("bench-layer", help=text, description=text)
    parser.epilog = "Without --threads it is timed on one thread, then on all."
    parser.add_argument("layer", metavar="MODULE:CLASS",
                        help="a class, a layer, or a function that returns one, such as "
                        "swish:Swish")  # fmt: skip
    parser.add_argument("--input", type=shape_of, required=True, metavar="SHAPE",
                        help="shape of a batch, such as 32,64,28,28")  # fmt: skip
    parser.add_argument("--beside", metavar="MODULE:CLASS", default=None,
                        help="another layer to time in the same rounds, such as "
                        "deepfs.layers:GELU (default: the nearest built-in one)")  # fmt: skip
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    parser.add_argument("--threads", type=values.count, default=None, metavar="N",
                        help="number of threads")  # fmt: skip
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace, given: Sequence[str]) -> None:
    x = np.random.default_rng(0).standard_normal(options.input).astype(options.dtype)
    beside = None if options.beside is None else layer_of(options.beside)
    most = get_num_threads()
    for threads in [options.threads] if options.threads else sorted({1, most}):
        set_num_threads(threads)
        print(bench_layer(layer_of(options.layer), x, beside=beside))
    set_num_threads(most)
