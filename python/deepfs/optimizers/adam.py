"""Adam and its kin: two moments of the gradient. Kernel: ``src/cnn_core/optimizers.pyx``.

All take m, a running mean of the gradient, and v, one of its square, and step by about
m / sqrt(v). They differ in how the means are corrected for their start at 0, in what follows the
first, in the norm of the second, and in where decay goes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import sqrt
from typing import ClassVar

import numpy as np

from cnn_core import optimizers

from .._arrays import Array
from .._check import flag, number, one_of
from ..schedules import Schedule
from ._base import Optimizer
from ._plan import Pass, zeros_like


@dataclass(eq=False)
class _Moments(Optimizer):
    """What the optimizers of this module share: settings and state."""

    lr: float | Schedule = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8

    def __post_init__(self) -> None:
        super().__post_init__()
        self.beta1 = number(self.beta1, "beta1", "[0, 1)")
        self.beta2 = number(self.beta2, "beta2", "[0, 1)")
        self.eps = number(self.eps, "eps", "(0, inf)")

    def init(self, w: Array) -> dict[str, Array]:
        return {"m": zeros_like(w), "v": zeros_like(w)}

    def _means(self) -> tuple[float, float, float, float]:
        return self.beta1, 1 - self.beta1, self.beta2, 1 - self.beta2


@dataclass(eq=False)
class Adam(_Moments):
    r"""Divide each step by the running size of its gradient.

    .. math::
        m_t &= \beta_1 m_{t-1} + (1 - \beta_1) g_t \\
        v_t &= \beta_2 v_{t-1} + (1 - \beta_2) g_t^2 \\
        w_t &= w_{t-1} - \eta \frac{m_t / (1 - \beta_1^t)}
               {\sqrt{v_t / (1 - \beta_2^t)} + \epsilon}

    Parameters
    ----------
    lr : float or Schedule
        Step size :math:`\eta`, above 0.
    beta1, beta2 : float
        Decay per step of the means :math:`m` and :math:`v`, in [0, 1).
    eps : float, optional
        Term :math:`\epsilon` outside the root, above 0; 1e-8, or 1e-7 in the textbook's form.
    amsgrad : bool
        Divide by the largest :math:`v` so far instead of the last.
    eps_mode : {"hat", "textbook"}
        Add eps to the corrected root, as above; or to the uncorrected :math:`\sqrt{v_t}`, the
        correction :math:`\sqrt{1 - \beta_2^t}` going to the step: eps then weighs more at first.
    **frame
        As of every `Optimizer`: weight_decay, clip_norm, clip_each, clip_value, groups.

    Raises
    ------
    ValueError
        If a setting is out of its range.

    Notes
    -----
    State: ``m``, ``v``; ``v_max`` with amsgrad. Twin: `deepfs.reference.adam`.

    References
    ----------
    Kingma and Ba, "Adam: A method for stochastic optimization", 2014, arXiv:1412.6980; the
    textbook's form is at the end of its section 2.
    Reddi, Kale and Kumar, "On the convergence of Adam and beyond", 2018, arXiv:1904.09237.

    Examples
    --------
    >>> w, optimizer = np.array([1.0]), Adam(0.1)
    >>> optimizer.step(w, np.array([4.0]), optimizer.init(w), t=1)
    >>> w.round(6)
    array([0.9])
    """

    eps: float = None  # type: ignore[assignment]
    amsgrad: bool = False
    eps_mode: str = "hat"

    def __post_init__(self) -> None:
        self.amsgrad = flag(self.amsgrad, "amsgrad")
        self.eps_mode = one_of(self.eps_mode, "eps_mode", ("hat", "textbook"))
        if self.eps is None:
            self.eps = 1e-8 if self.eps_mode == "hat" else 1e-7
        super().__post_init__()

    def init(self, w: Array) -> dict[str, Array]:
        state = super().init(w)
        return state | {"v_max": zeros_like(w)} if self.amsgrad else state

    def _step(self, this: Pass) -> None:
        step, root = 1 / (1 - self.beta1**this.t), sqrt(1 - self.beta2**this.t)
        if self.eps_mode == "hat":
            root = 1 / root
        else:
            step, root = step * root, 1.0
        numbers = (*self._means(), step, 0.0, root, self.eps)
        if self.amsgrad:
            this.run(optimizers.amsgrad, ("m", "v", "v_max"), *numbers)
        else:
            this.run(optimizers.adam, ("m", "v"), *numbers)


@dataclass(eq=False)
class AdamW(Adam):
    r"""Step as `Adam`, and let weights decay past the gradient.

    .. math::
        w_t = (1 - \eta \lambda) w_{t-1} - \eta \frac{\hat m_t}{\sqrt{\hat v_t} + \epsilon}

    Parameters
    ----------
    lr : float or Schedule
        Step size :math:`\eta`, above 0.
    beta1, beta2, eps, amsgrad, eps_mode
        As of `Adam`.
    weight_decay : float
        :math:`\lambda`, at least 0. It is 0 by default, which makes this Adam: 0.01 is common.
    **frame
        As of every `Optimizer`: clip_norm, clip_each, clip_value, groups.

    Raises
    ------
    ValueError
        If a setting is out of its range.

    Notes
    -----
    State: as of `Adam`. Twins: `deepfs.reference.adam`, `deepfs.reference.weight_decay`.

    References
    ----------
    Loshchilov and Hutter, "Decoupled weight decay regularization", 2019, arXiv:1711.05101.

    Examples
    --------
    >>> w, optimizer = np.array([1.0]), AdamW(0.1, weight_decay=0.5)
    >>> optimizer.step(w, np.array([4.0]), optimizer.init(w), t=1)
    >>> w.round(6)
    array([0.85])
    """

    decoupled: ClassVar[bool] = True


@dataclass(eq=False)
class NAdam(_Moments):
    r"""Step as `Adam` with the momentum of Nesterov.

    .. math::
        \mu_t &= \beta_1 (1 - 0.5 \cdot 0.96^{\psi t}), \quad
        \Pi_t = \mu_1 \mu_2 \cdots \mu_t \\
        w_t &= w_{t-1} - \eta \left( \frac{\mu_{t+1}}{1 - \Pi_{t+1}} m_t
               + \frac{1 - \mu_t}{1 - \Pi_t} g_t \right) \Big/ (\sqrt{\hat v_t} + \epsilon)

    Parameters
    ----------
    lr : float or Schedule
        Step size :math:`\eta`, above 0.
    beta1, beta2 : float
        Decay per step of the means :math:`m` and :math:`v`, in [0, 1).
    eps : float
        Term :math:`\epsilon` outside the root, above 0.
    momentum_decay : float
        How fast :math:`\mu` grows, :math:`\psi`, at least 0.
    **frame
        As of every `Optimizer`: weight_decay, clip_norm, clip_each, clip_value, groups.

    Raises
    ------
    ValueError
        If a setting is out of its range.

    Notes
    -----
    State: ``m``, ``v``. The products follow from t. Twin: `deepfs.reference.nadam`.

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

    lr: float | Schedule = 2e-3
    momentum_decay: float = 0.004

    def __post_init__(self) -> None:
        super().__post_init__()
        self.momentum_decay = number(self.momentum_decay, "momentum_decay", "[0, inf)")

    def _step(self, this: Pass) -> None:
        t, decay = this.t, self.momentum_decay
        now, later = nadam_momentum(self.beta1, decay, t), nadam_momentum(self.beta1, decay, t + 1)
        products = momentum_products(self.beta1, decay)
        while len(products) <= t and 1 - products[-1] < 1:
            products.append(products[-1] * nadam_momentum(self.beta1, decay, len(products)))
        product = products[min(t, len(products) - 1)]
        this.run(
            optimizers.adam, ("m", "v"), *self._means(), later / (1 - product * later),
            (1 - now) / (1 - product), 1 / sqrt(1 - self.beta2**t), self.eps,
        )  # fmt: skip


def nadam_momentum(beta1: float, decay: float, t: int) -> float:
    """Return the part of the momentum that step ``t`` keeps."""
    return beta1 * (1 - 0.5 * 0.96 ** (t * decay))


@lru_cache(maxsize=32)
def momentum_products(beta1: float, decay: float) -> list[float]:
    """Return the products known so far, from the empty one on, until 1 less one of them is 1."""
    return [1.0]


@dataclass(eq=False)
class RAdam(_Moments):
    r"""Step as `Adam` once enough gradients make v reliable, and by the mean alone before.

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
    **frame
        As of every `Optimizer`: weight_decay, clip_norm, clip_each, clip_value, groups.

    Raises
    ------
    ValueError
        If a setting is out of its range.

    Notes
    -----
    State: ``m``, ``v``. The bound is 5, as in PyTorch; the paper has 4.
    Twin: `deepfs.reference.radam`.

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

    def _step(self, this: Pass) -> None:
        t, left = this.t, 1 - self.beta2**this.t
        step, root, eps = 1 / (1 - self.beta1**t), 0.0, 1.0
        most = 2 / (1 - self.beta2) - 1
        rho = most - 2 * t * self.beta2**t / left
        if rho > 5:
            r = sqrt((rho - 4) * (rho - 2) * most / ((most - 4) * (most - 2) * rho))
            step, root, eps = step * r * sqrt(left), 1.0, self.eps
        this.run(optimizers.adam, ("m", "v"), *self._means(), step, 0.0, root, eps)


@dataclass(eq=False)
class Adamax(_Moments):
    r"""Step as `Adam` with a decaying maximum in the place of the root of mean squares.

    .. math::
        u_t = \max(\beta_2 u_{t-1}, |g_t| + \epsilon), \quad
        w_t = w_{t-1} - \frac{\eta}{1 - \beta_1^t} \frac{m_t}{u_t}

    Parameters
    ----------
    lr : float or Schedule
        Step size :math:`\eta`, above 0.
    beta1, beta2 : float
        Decay per step of :math:`m` and :math:`u`, in [0, 1).
    eps : float
        Term :math:`\epsilon` that keeps u above 0; above 0.
    **frame
        As of every `Optimizer`: weight_decay, clip_norm, clip_each, clip_value, groups.

    Raises
    ------
    ValueError
        If a setting is out of its range.

    Notes
    -----
    State: ``m``, ``u``. The paper has no eps; this one is PyTorch's.
    Twin: `deepfs.reference.adamax`.

    References
    ----------
    Kingma and Ba, "Adam: A method for stochastic optimization", 2014, arXiv:1412.6980, section 7.

    Examples
    --------
    >>> w, optimizer = np.array([1.0]), Adamax(0.1)
    >>> optimizer.step(w, np.array([4.0]), optimizer.init(w), t=1)
    >>> w.round(6)
    array([0.9])
    """

    lr: float | Schedule = 2e-3

    def init(self, w: Array) -> dict[str, Array]:
        return {"m": zeros_like(w), "u": zeros_like(w)}

    def _step(self, this: Pass) -> None:
        this.run(
            optimizers.adamax, ("m", "u"), *self._means(), 1 / (1 - self.beta1**this.t), 0.0, 0.0,
            self.eps,
        )  # fmt: skip


@dataclass(eq=False)
class LAMB(_Moments):
    r"""Step as `Adam`, as far in each array as its weights are large: for very large batches.

    .. math::
        u_t = \frac{\hat m_t}{\sqrt{\hat v_t} + \epsilon} + \lambda w_{t-1}, \quad
        w_t = w_{t-1} - \eta \frac{\lVert w_{t-1} \rVert}{\lVert u_t \rVert} u_t

    Parameters
    ----------
    lr : float or Schedule
        Step size :math:`\eta` as a part of the weights, above 0.
    beta1, beta2 : float
        Decay per step of the means :math:`m` and :math:`v`, in [0, 1).
    eps : float
        Term :math:`\epsilon` outside the root, above 0.
    weight_decay : float
        :math:`\lambda`, at least 0.
    **frame
        As of every `Optimizer`: clip_norm, clip_each, clip_value, groups.

    Raises
    ------
    ValueError
        If a setting is out of its range.

    Notes
    -----
    State: ``m``, ``v``. The norms are those of each parameter; where one is 0, as of new biases,
    the ratio is 1. Takes two passes. Twin: `deepfs.reference.lamb`.

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
    apart: ClassVar[bool] = True

    def _step(self, this: Pass) -> None:
        corrections = 1 / (1 - self.beta1**this.t), 0.0, 1 / sqrt(1 - self.beta2**this.t)
        numbers = (*self._means(), *corrections, self.eps)
        this.run(optimizers.lamb_moments, ("m", "v"), *numbers)
        weights, steps = this.plan.norms()
        ratio = np.ones_like(this.plan.ones)
        np.divide(weights, steps, out=ratio[: len(steps)], where=(weights > 0) & (steps > 0))
        this.call(optimizers.lamb, ("m", "v"), numbers, ratio, None)
