"""Adam. Kernel: ``src/cnn_core/optim.pyx``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cnn_core import optim

from .._check import number
from ..layers._base import Array
from ._base import Optimizer


@dataclass(eq=False)
class Adam(Optimizer):
    r"""Divide each step by the running size of its gradient.

    .. math::
        m_t &= \beta_1 m_{t-1} + (1 - \beta_1) g_t \\
        v_t &= \beta_2 v_{t-1} + (1 - \beta_2) g_t^2 \\
        w_t &= w_{t-1} - \eta \frac{m_t / (1 - \beta_1^t)}
               {\sqrt{v_t / (1 - \beta_2^t)} + \epsilon}

    Parameters
    ----------
    lr : float
        Step size :math:`\eta`, above 0.
    beta1, beta2 : float
        Decay per step of the means :math:`m` and :math:`v`, in [0, 1).
    eps : float
        Term :math:`\epsilon` outside the root, above 0.

    Raises
    ------
    ValueError
        If a setting is out of its range.

    Notes
    -----
    State: ``m``, ``v``. Twin: `deepfs.reference.adam`.

    References
    ----------
    Kingma and Ba, "Adam: A method for stochastic optimization", 2014, arXiv:1412.6980.

    Examples
    --------
    >>> w, optimizer = np.array([1.0]), Adam(0.1)
    >>> optimizer.step(w, np.array([4.0]), optimizer.init(w), t=1)
    >>> w.round(6)
    array([0.9])
    """

    lr: float = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8

    def __post_init__(self) -> None:
        super().__post_init__()
        self.beta1 = number(self.beta1, "beta1", "[0, 1)")
        self.beta2 = number(self.beta2, "beta2", "[0, 1)")
        self.eps = number(self.eps, "eps", "(0, inf)")

    def init(self, w: Array) -> dict[str, Array]:
        return {"m": np.zeros_like(w), "v": np.zeros_like(w)}

    def step(self, w: Array, g: Array, state: dict[str, Array], t: int) -> None:
        optim.adam_step(
            w, g, state["m"], state["v"], self.lr, self.beta1, self.beta2, self.eps, t
        )  # fmt: skip
