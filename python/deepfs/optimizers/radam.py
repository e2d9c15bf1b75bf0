"""RAdam optimizer. Kernel: ``src/cnn_core/optimizers.pyx``."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

from cnn_core import optimizers

from .._check import number
from ._context import StepContext
from .adam import Moments


@dataclass(eq=False)
class RAdam(Moments):
    r"""RAdam optimizer: `Adam`, but by the mean alone until v is reliable (rectified Adam).

    .. math::
        \rho_\infty = \frac{2}{1 - \beta_2} - 1, \quad
        \rho_t = \rho_\infty - \frac{2 t \beta_2^t}{1 - \beta_2^t}, \quad
        r_t = \sqrt{\frac{(\rho_t - 4)(\rho_t - 2) \rho_\infty}
                         {(\rho_\infty - 4)(\rho_\infty - 2) \rho_t}}

    .. math::
        w_t = w_{t-1} - \eta \hat m_t \begin{cases}
            r_t \sqrt{1 - \beta_2^t} / (\sqrt{v_t} + \epsilon) & \rho_t > 5 \\ 1 \end{cases}

    Parameters
    ----------
    lr : float or Schedule
        Step size :math:`\eta`, above 0.
    beta1, beta2 : float
        Decay per step of the means :math:`m` and :math:`v`, in [0, 1).
    eps : float
        Term :math:`\epsilon` outside the root, above 0.
    **options
        Settings of every `Optimizer`: weight_decay, clip_norm, clip_each, clip_value, groups.

    Raises
    ------
    ValueError
        If a setting is out of its range.

    Notes
    -----
    State: ``m``, ``v``. The bound is 5, as in PyTorch; the paper has 4.
    NumPy reference: `deepfs.reference.radam`.

    References
    ----------
    Liu et al., "On the variance of the adaptive learning rate and beyond", 2020, arXiv:1908.03265.

    Examples
    --------
    >>> w, optimizer = np.array([1.0]), RAdam(0.1)
    >>> optimizer.step(w, np.array([4.0]), optimizer.init(w), t=1)
    >>> w.round(6)
    array([0.6])
    """

    eps: float = 1e-8

    def __post_init__(self) -> None:
        super().__post_init__()
        self.eps = number(self.eps, "eps", "(0, inf)")

    def _step(self, context: StepContext) -> None:
        t, correction2 = context.t, 1 - self.beta2**context.t
        m_scale, root_scale, eps = 1 / (1 - self.beta1**t), 0.0, 1.0
        rho_inf = 2 / (1 - self.beta2) - 1
        rho = rho_inf - 2 * t * self.beta2**t / correction2
        if rho > 5:
            r = sqrt((rho - 4) * (rho - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho))
            m_scale, root_scale, eps = m_scale * r * sqrt(correction2), 1.0, self.eps
        context.apply(
            optimizers.adam, ("m", "v"), beta1=self.beta1, beta2=self.beta2,
            m_scale=m_scale, g_scale=0.0, root_scale=root_scale, eps=eps,
        )  # fmt: skip
