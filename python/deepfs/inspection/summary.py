"""The table of `Model.summary`."""

from __future__ import annotations

import textwrap
from typing import Any

from .._table import WIDTH, text_of
from ..layers import Layer
from .wiring import source_lines


def print_summary(network: Layer, in_shape: Any = None) -> None:
    """Print a row per layer; see `deepfs.Model.summary`."""
    if network.built_dtype is None:
        if in_shape is None:
            raise RuntimeError(
                "Model.summary needs in_shape, such as (1, 28, 28), before the first data"
            )
        network.build(in_shape)
    wiring = [textwrap.fill(line, WIDTH, subsequent_indent="    ", break_on_hyphens=False)
              for line in source_lines(network)]  # fmt: skip
    print("\n".join([text_of(network), *wiring]))
