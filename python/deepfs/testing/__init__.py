"""Checks that every layer, loss and optimizer must pass, also your own.

Gradients are compared with central differences in float64, h = 6e-6 max(1, abs(x)), for every entry
or a seeded sample of 100: they must agree to 1e-7 + 1e-6 max(abs(analytic), abs(numeric)), and not
all be zero. Choose inputs away from kinks, such as equal numbers under a maximum.
"""

from ._compare import any_work_on as any_work_on
from .gradient import check_gradient
from .layer import check_layer
from .loss import check_loss
from .optimizer import check_optimizer

__all__ = ["check_gradient", "check_layer", "check_loss", "check_optimizer"]
