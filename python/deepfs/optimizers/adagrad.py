"""AdaGrad, and its successors AdaDelta and RMSProp. Kernel: ``src/cnn_core/optimizers.pyx``."""

from __future__ import annotations

from dataclasses import dataclass

from cnn_core import optimizers

from .._arrays import Array
from .._check import flag, number
from ..schedules.function import Rate
from ._arena import zeros_like
from ._base import Optimizer
from ._context import StepContext


@dataclass(eq=False)
class AdaGrad(Optimizer):
    r"""AdaGrad optimizer: divide each step by the root of the sum of all squared gradients.

    .. math::
        h_t = h_{t-1} + g_t^2, \quad w_t = w_{t-1} - \eta \frac{g_t}{\sqrt{h_t} + \epsilon}

    Parameters
    ----------
    lr : float, Schedule or function
        Step size :math:`\eta`, above 0.
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
    State: ``h``. NumPy reference: `deepfs.reference.adagrad`.

    References
    ----------
    Duchi, Hazan and Singer, "Adaptive subgradient methods for online learning and stochastic
    optimization", 2011.

    Examples
    --------
    >>> w, optimizer = np.array([1.0]), AdaGrad(0.1)
    >>> optimizer.step(w, np.array([4.0]), optimizer.init(w), t=1)
    >>> w.round(6)
    array([0.9])
    """

    lr: Rate = 0.01
    eps: float = 1e-7

    def __post_init__(self) -> None:
        super().__post_init__()
        self.eps = number(self.eps, "eps", "(0, inf)")

    def init(self, w: Array) -> dict[str, Array]:
        return {"h": zeros_like(w)}

    def _step(self, context: StepContext) -> None:
        context.apply(optimizers.squares, ("h",), keep=1.0, gain=1.0, eps=self.eps)


@dataclass(eq=False)
class AdaDelta(Optimizer):
    r"""AdaDelta optimizer: scale gradients by the ratio of mean step size to mean gradient size.

    .. math::
        h_t &= \rho h_{t-1} + (1 - \rho) g_t^2 \\
        \Delta_t &= \frac{\sqrt{d_{t-1} + \epsilon}}{\sqrt{h_t + \epsilon}} g_t, \quad
        d_t = \rho d_{t-1} + (1 - \rho) \Delta_t^2 \\
        w_t &= w_{t-1} - \eta \Delta_t

    Parameters
    ----------
    lr : float, Schedule or function
        Step size :math:`\eta`, above 0; 1 in the paper.
    rho : float
        Decay per step of both means, :math:`\rho` in [0, 1).
    eps : float
        Term :math:`\epsilon` inside both roots, above 0. The first steps are about as large as its
        root.
    **options
        Settings of every `Optimizer`: weight_decay, clip_norm, clip_each, clip_value, groups.

    Raises
    ------
    ValueError
        If a setting is out of its range.

    Notes
    -----
    State: ``h``, ``d``. NumPy reference: `deepfs.reference.adadelta`.

    References
    ----------
    Zeiler, "ADADELTA: An adaptive learning rate method", 2012, arXiv:1212.5701.

    Examples
    --------
    >>> w, optimizer = np.array([1.0]), AdaDelta()
    >>> optimizer.step(w, np.array([4.0]), optimizer.init(w), t=1)
    >>> w.round(6)
    array([0.995528])
    """

    lr: Rate = 1.0
    rho: float = 0.95
    eps: float = 1e-6

    def __post_init__(self) -> None:
        super().__post_init__()
        self.rho = number(self.rho, "rho", "[0, 1)")
        self.eps = number(self.eps, "eps", "(0, inf)")

    def init(self, w: Array) -> dict[str, Array]:
        return {"h": zeros_like(w), "d": zeros_like(w)}

    def _step(self, context: StepContext) -> None:
        context.apply(optimizers.adadelta, ("h", "d"), rho=self.rho, eps=self.eps)


@dataclass(eq=False)
class RMSProp(Optimizer):
    r"""RMSProp optimizer: divide each step by the root of the running mean of squared gradients.

    .. math::
        v_t &= \rho v_{t-1} + (1 - \rho) g_t^2 \\
        w_t &= w_{t-1} - \eta \frac{g_t}{\sqrt{v_t} + \epsilon}

    Parameters
    ----------
    lr : float, Schedule or function
        Step size :math:`\eta`, above 0.
    rho : float
        Decay per step of the means, :math:`\rho` in [0, 1).
    eps : float
        Term :math:`\epsilon` outside the root, above 0.
    centered : bool
        Divide by the standard deviation of the gradient, :math:`\sqrt{v_t - m_t^2}`, where
        :math:`m` is its running mean. A difference below 0, by rounding, counts as 0.
    momentum : float
        :math:`\mu` in [0, 1). Above 0, the step is :math:`\eta b_t` with the velocity
        :math:`b_t = \mu b_{t-1} + g_t / (\sqrt{v_t} + \epsilon)`.
    **options
        Settings of every `Optimizer`: weight_decay, clip_norm, clip_each, clip_value, groups.

    Raises
    ------
    ValueError
        If a setting is out of its range.

    Notes
    -----
    State: ``v``; ``m`` if centered; ``b`` with momentum.
    NumPy reference: `deepfs.reference.rmsprop`.

    References
    ----------
    Tieleman and Hinton, "Lecture 6.5: RMSProp", 2012. Centered: Graves, "Generating sequences with
    recurrent neural networks", 2013, arXiv:1308.0850.

    Examples
    --------
    >>> w, optimizer = np.array([1.0]), RMSProp(0.1, rho=0.75)
    >>> optimizer.step(w, np.array([4.0]), optimizer.init(w), t=1)
    >>> w.round(6)
    array([0.8])
    """

    lr: Rate = 1e-3
    rho: float = 0.9
    eps: float = 1e-7
    centered: bool = False
    momentum: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.rho = number(self.rho, "rho", "[0, 1)")
        self.eps = number(self.eps, "eps", "(0, inf)")
        self.centered = flag(self.centered, "centered")
        self.momentum = number(self.momentum, "momentum", "[0, 1)")

    def _names(self) -> tuple[str, ...]:
        return ("v", *("m" if self.centered else ""), *("b" if self.momentum else ""))

    def init(self, w: Array) -> dict[str, Array]:
        return {name: zeros_like(w) for name in self._names()}

    def _step(self, context: StepContext) -> None:
        names = self._names()
        kind = {
            ("v",): optimizers.squares,
            ("v", "b"): optimizers.squares_momentum,
            ("v", "m"): optimizers.centered,
            ("v", "m", "b"): optimizers.centered_momentum,
        }[names]
        rho = self.rho
        context.apply(kind, names, keep=rho, gain=1 - rho, eps=self.eps, mu=self.momentum)
