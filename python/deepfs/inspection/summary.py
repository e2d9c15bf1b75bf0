"""The table of `Model.summary`."""

from __future__ import annotations

from typing import Any

from ..layers import Layer
from .layer_table import text_of
from .wiring import source_lines


def print_summary(network: Layer, in_shape: Any = None) -> None:
    """Print a row per layer; see `deepfs.Model.summary`."""
    if network.built_dtype is None:
        if in_shape is None:
            raise RuntimeError(
                "Model.summary needs in_shape, such as (1, 28, 28), before the first data"
            )
        network.build(in_shape)
    print("\n".join([text_of(network), *source_lines(network)]))
