"""SGD and Momentum. Kernels: ``src/cnn_core/optim.pyx``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cnn_core import optim

from .._check import number
from ..layers._base import Array
from ._base import Optimizer


@dataclass(eq=False)
class SGD(Optimizer):
    r"""Step against the gradient.

    .. math:: w_t = w_{t-1} - \eta g_t

    Parameters
    ----------
    lr : float
        Step size :math:`\eta`, above 0.

    Raises
    ------
    ValueError
        If a setting is out of its range.

    Notes
    -----
    Keeps no state. Twin: `deepfs.reference.sgd`.

    References
    ----------
    Robbins and Monro, "A stochastic approximation method", 1951.

    Examples
    --------
    >>> w = np.array([1.0])
    >>> SGD(0.5).step(w, np.array([1.0]), {}, t=1)
    >>> w
    array([0.5])
    """

    lr: float = 0.01

    def init(self, w: Array) -> dict[str, Array]:
        return {}

    def step(self, w: Array, g: Array, state: dict[str, Array], t: int) -> None:
        optim.sgd_step(w, g, self.lr)


@dataclass(eq=False)
class Momentum(Optimizer):
    r"""Step along a velocity that gradients push.

    .. math:: v_t = \alpha v_{t-1} - \eta g_t, \quad w_t = w_{t-1} + v_t

    Parameters
    ----------
    lr : float
        Step size :math:`\eta`, above 0.
    momentum : float
        What a step keeps of the velocity, :math:`\alpha`, in [0, 1).

    Raises
    ------
    ValueError
        If a setting is out of its range.

    Notes
    -----
    State: ``v``. At constant ``lr`` the path is that of ``torch.optim.SGD(momentum=...)``, whose
    velocity is this one divided by -lr. Twin: `deepfs.reference.momentum`.

    References
    ----------
    Polyak, "Some methods of speeding up the convergence of iteration methods", 1964.
    Sutskever et al., "On the importance of initialization and momentum in deep learning", 2013.

    Examples
    --------
    >>> w, optimizer = np.array([1.0]), Momentum(0.5, momentum=0.5)
    >>> state = optimizer.init(w)
    >>> for t in (1, 2):
    ...     optimizer.step(w, np.array([1.0]), state, t)
    >>> w
    array([-0.25])
    """

    lr: float = 0.01
    momentum: float = 0.9

    def __post_init__(self) -> None:
        super().__post_init__()
        self.momentum = number(self.momentum, "momentum", "[0, 1)")

    def init(self, w: Array) -> dict[str, Array]:
        return {"v": np.zeros_like(w)}

    def step(self, w: Array, g: Array, state: dict[str, Array], t: int) -> None:
        optim.momentum_step(w, g, state["v"], self.lr, self.momentum)
