"""LAMB optimizer. Kernel: ``src/cnn_core/optimizers.pyx``."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import ClassVar

import numpy as np

from cnn_core import optimizers

from .._check import number
from ._context import StepContext
from .adam import Moments


@dataclass(eq=False)
class LAMB(Moments):
    r"""LAMB optimizer: `Adam` with steps in proportion to the norm of each array of weights.

    Made for very large batches.

    .. math::
        u_t = \frac{\hat m_t}{\sqrt{\hat v_t} + \epsilon} + \lambda w_{t-1}, \quad
        w_t = w_{t-1} - \eta \frac{\lVert w_{t-1} \rVert}{\lVert u_t \rVert} u_t

    Parameters
    ----------
    lr : float or Schedule
        Step size :math:`\eta` relative to the norm of the weights, above 0.
    beta1, beta2 : float
        Decay per step of the means :math:`m` and :math:`v`, in [0, 1).
    eps : float
        Term :math:`\epsilon` outside the root, above 0.
    weight_decay : float
        :math:`\lambda`, at least 0.
    **options
        Settings of every `Optimizer`: clip_norm, clip_each, clip_value, groups.

    Raises
    ------
    ValueError
        If a setting is out of its range.

    Notes
    -----
    State: ``m``, ``v``. The norms are those of each parameter; where one is 0, for example of new
    biases, the ratio is 1. A step takes two passes over the arrays.
    NumPy reference: `deepfs.reference.lamb`.

    References
    ----------
    You et al., "Large batch optimization for deep learning: training BERT in 76 minutes", 2020,
    arXiv:1904.00962, algorithm 2.

    Examples
    --------
    >>> w, optimizer = np.array([3.0, 4.0]), LAMB(0.1)
    >>> optimizer.step(w, np.array([1.0, 1.0]), optimizer.init(w), t=1)
    >>> w.round(4)
    array([2.6464, 3.6464])
    """

    eps: float = 1e-6

    decoupled: ClassVar[bool] = True
    per_array: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self.eps = number(self.eps, "eps", "(0, inf)")

    def _step(self, context: StepContext) -> None:
        constants = {
            "beta1": self.beta1,
            "beta2": self.beta2,
            "m_scale": 1 / (1 - self.beta1**context.t),
            "root_scale": 1 / sqrt(1 - self.beta2**context.t),
            "eps": self.eps,
        }
        plan = context.plan
        context.apply(optimizers.lamb_moments, ("m", "v"), None, plan.sums, **constants)
        w_norm, u_norm = plan.norms()
        ratio = np.ones_like(u_norm)
        np.divide(w_norm, u_norm, out=ratio, where=(w_norm > 0) & (u_norm > 0))
        context.apply(optimizers.lamb, ("m", "v"), ratio, **constants)
