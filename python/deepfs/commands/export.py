"""``deepfs export``: write a saved model as an ONNX file."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from ..onnx.export import INPUTS
from . import _values as values
from ._model_of import add_model, model_of


def add_parser(commands: Any) -> None:
    """Add the command to those of ``deepfs``."""
    text = "Write a saved model as an ONNX file, with its preprocessing and class names."
    parser = commands.add_parser("export", help=text, description=text)
    add_model(parser, "file that train saved")
    parser.add_argument("file", metavar="FILE.onnx", help="file to write")
    parser.add_argument("--input", type=values.shape, default=None, metavar="C,H,W",
                        help="shape of an image (default: the model's)")  # fmt: skip
    parser.add_argument("--input-dtype", choices=INPUTS, default=None, metavar="DTYPE",
                        help=f"dtype of the images: {', '.join(INPUTS)} (default: the model's)",
                        )  # fmt: skip
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace, given: Sequence[str]) -> None:
    model = model_of(options)
    model.export(options.file, input_shape=options.input, input_dtype=options.input_dtype)
