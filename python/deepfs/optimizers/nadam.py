"""NAdam optimizer. Kernel: ``src/cnn_core/optimizers.pyx``."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

from cnn_core import optimizers

from .._check import number
from ..schedules.function import Rate
from ._context import StepContext
from .adam import Moments


@dataclass(eq=False)
class NAdam(Moments):
    r"""NAdam optimizer: `Adam` with Nesterov momentum.

    .. math::
        \mu_t &= \beta_1 (1 - 0.5 \cdot 0.96^{\psi t}), \quad
        \Pi_t = \mu_1 \mu_2 \cdots \mu_t \\
        w_t &= w_{t-1} - \eta \left( \frac{\mu_{t+1}}{1 - \Pi_{t+1}} m_t
               + \frac{1 - \mu_t}{1 - \Pi_t} g_t \right) \Big/ (\sqrt{\hat v_t} + \epsilon)

    Parameters
    ----------
    lr : float, Schedule or function
        Step size :math:`\eta`, above 0.
    beta1, beta2 : float
        Decay per step of the means :math:`m` and :math:`v`, in [0, 1).
    eps : float
        Term :math:`\epsilon` outside the root, above 0.
    momentum_decay : float
        :math:`\psi`, at least 0: how fast :math:`\mu_t` grows with t.
    **options
        Settings of every `Optimizer`: weight_decay, clip_norm, clip_each, clip_value, groups.

    Raises
    ------
    ValueError
        If a setting is out of its range.

    Notes
    -----
    State: ``m``, ``v``. The products :math:`\Pi_t` depend on t alone and are no state.
    NumPy reference: `deepfs.reference.nadam`.

    References
    ----------
    Dozat, "Incorporating Nesterov momentum into Adam", 2016.

    Examples
    --------
    >>> w, optimizer = np.array([1.0]), NAdam(0.1)
    >>> optimizer.step(w, np.array([4.0]), optimizer.init(w), t=1)
    >>> w.round(6)
    array([0.894355])
    """

    lr: Rate = 2e-3
    eps: float = 1e-8
    momentum_decay: float = 0.004

    def __post_init__(self) -> None:
        super().__post_init__()
        self.eps = number(self.eps, "eps", "(0, inf)")
        self.momentum_decay = number(self.momentum_decay, "momentum_decay", "[0, inf)")

        # by beta1 and momentum_decay: t of the last step, and the product up to it
        self._products: dict[tuple[float, float], tuple[int, float]]
        self._products = vars(self).get("_products", {})

    def _step(self, context: StepContext) -> None:
        t = context.t
        mu, mu_next, product = self._mu(t), self._mu(t + 1), self._product(t)
        context.apply(
            optimizers.adam, ("m", "v"), beta1=self.beta1, beta2=self.beta2,
            m_scale=mu_next / (1 - product * mu_next), g_scale=(1 - mu) / (1 - product),
            root_scale=1 / sqrt(1 - self.beta2**t), eps=self.eps,
        )  # fmt: skip

    def _mu(self, t: int) -> float:
        return self.beta1 * (1 - 0.5 * 0.96 ** (t * self.momentum_decay))

    def _product(self, t: int) -> float:
        """Return mu_1 ... mu_t, from the product of the step before where that is known."""
        key = (self.beta1, self.momentum_decay)
        count, product = self._products.get(key, (0, 1.0))
        if count > t:
            count, product = 0, 1.0
        while count < t and 1 - product < 1:  # a smaller product changes nothing any more
            count += 1
            product *= self._mu(count)
        self._products[key] = (count, product)
        return product
