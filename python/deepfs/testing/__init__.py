"""Checks that any layer, loss or optimizer must pass. Run them on your own.

Gradients are compared with central differences in float64, h = 6e-6 max(1, abs(x)), along every
entry or a seeded sample of them: they must agree to 1e-7 + 1e-6 max(abs(analytic), abs(numeric)),
and may not all be zero. Inputs are yours: keep them away from kinks, such as ties under a maximum.
"""

from ._compare import any_work_on as any_work_on
from .gradient import check_gradient
from .layer import check_layer
from .loss import check_loss
from .optimizer import check_optimizer

__all__ = ["check_gradient", "check_layer", "check_loss", "check_optimizer"]
