"""Lion optimizer. Kernel: ``src/cnn_core/optimizers.pyx``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from cnn_core import optimizers

from .._arrays import Array
from .._check import number
from ..schedules.function import Rate
from ._arena import zeros_like
from ._base import Optimizer
from ._context import StepContext


@dataclass(eq=False)
class Lion(Optimizer):
    r"""Lion optimizer: step by the sign of a mean of gradients, as far in every entry.

    .. math::
        w_t &= (1 - \eta \lambda) w_{t-1}
               - \eta \, \mathrm{sign}(\beta_1 m_{t-1} + (1 - \beta_1) g_t) \\
        m_t &= \beta_2 m_{t-1} + (1 - \beta_2) g_t

    Parameters
    ----------
    lr : float, Schedule or function
        Step size :math:`\eta`, above 0: three to ten times less than for `AdamW`.
    beta1 : float
        Share of the mean in the sum whose sign is the step, in [0, 1).
    beta2 : float
        Decay per step of the mean, in [0, 1).
    weight_decay : float
        :math:`\lambda`, at least 0: three to ten times more than for `AdamW`.
    **options
        Settings of every `Optimizer`: clip_norm, clip_each, clip_value, groups.

    Raises
    ------
    ValueError
        If a setting is out of its range.

    Notes
    -----
    State: ``m``. The sign of 0 is 0. NumPy reference: `deepfs.reference.lion`.

    References
    ----------
    Chen et al., "Symbolic discovery of optimization algorithms", 2023, arXiv:2302.06675.

    Examples
    --------
    >>> w, optimizer = np.array([1.0, 1.0]), Lion(0.1)
    >>> optimizer.step(w, np.array([4.0, -1e-9]), optimizer.init(w), t=1)
    >>> w
    array([0.9, 1.1])
    """

    lr: Rate = 1e-4
    beta1: float = 0.9
    beta2: float = 0.99

    decoupled: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self.beta1 = number(self.beta1, "beta1", "[0, 1)")
        self.beta2 = number(self.beta2, "beta2", "[0, 1)")

    def init(self, w: Array) -> dict[str, Array]:
        return {"m": zeros_like(w)}

    def _step(self, context: StepContext) -> None:
        context.apply(optimizers.lion, ("m",), beta1=self.beta1, beta2=self.beta2)
