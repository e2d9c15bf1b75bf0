"""Smaller networks: `prune` makes filters, units or weights zero, `shrink` removes what is zero."""

from .._public import public_names as _public_names
from .pruning import Pruning, prune
from .report import ShrinkReport, ShrinkRow
from .shrinking import shrink

__all__ = ["Pruning", "ShrinkReport", "ShrinkRow", "prune", "shrink"]


def __dir__() -> list[str]:
    return _public_names(globals())
