"""The saved model that a command is given, and the classes of one's own that it names."""

from __future__ import annotations

import argparse

from .._load import load
from ..model import Model
from ._layer_of import class_of


def add_model(parser: argparse.ArgumentParser, help: str, metavar: str = "MODEL") -> None:
    """Add the arguments that `model_of` reads."""
    parser.add_argument("model", metavar=metavar, help=help)
    parser.add_argument("--layer", action="append", default=[], metavar="MODULE:CLASS",
                        help="a layer, loss or optimizer of your own that the file names; the "
                        "option may be repeated")  # fmt: skip


def model_of(options: argparse.Namespace) -> Model:
    """Return the model of the file that a command was given."""
    return load(options.model, layers=[class_of(text) for text in options.layer])
