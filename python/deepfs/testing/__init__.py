"""Checks that every layer, loss and optimizer must pass, also your own.

Gradients are compared with central differences in float64, h = 6e-6 max(1, abs(x)), for every entry
or the ends and a seeded sample, 100 in all: they must agree to
1e-7 + 1e-6 max(abs(analytic), abs(numeric)), and not all be zero. Entries at kinks, such as equal
numbers under a maximum, are recognised and counted: there a gradient must be right on both sides.
What was compared is in the `Report`.
"""

from .._public import public_names as _public_names
from ._compare import any_work_on as any_work_on
from .bench import LayerTimes as LayerTimes
from .bench import bench_layer
from .gradient import check_gradient
from .layer import check_layer
from .loss import check_loss
from .optimizer import check_optimizer
from .report import ArrayReport as ArrayReport
from .report import Report

__all__ = [
    "Report",
    "bench_layer",
    "check_gradient",
    "check_layer",
    "check_loss",
    "check_optimizer",
]


def __dir__() -> list[str]:
    return _public_names(globals())
