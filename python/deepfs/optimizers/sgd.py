"""Stochastic gradient descent, plain and with momentum. Kernel: ``src/cnn_core/optimizers.pyx``."""

from __future__ import annotations

from dataclasses import dataclass

from cnn_core import optimizers

from .._arrays import Array
from .._check import number, one_of
from ..schedules.function import Rate
from ._arena import zeros_like
from ._base import Optimizer
from ._context import StepContext


@dataclass(eq=False)
class SGD(Optimizer):
    r"""Stochastic gradient descent (SGD).

    .. math:: w_t = w_{t-1} - \eta g_t

    Parameters
    ----------
    lr : float, Schedule or function
        Step size :math:`\eta`, above 0.
    **options
        Settings of every `Optimizer`: weight_decay, clip_norm, clip_each, clip_value, groups.

    Raises
    ------
    ValueError
        If a setting is out of its range.

    Notes
    -----
    Keeps no state. NumPy reference: `deepfs.reference.sgd`.

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

    lr: Rate = 0.01

    def init(self, w: Array) -> dict[str, Array]:
        return {}

    def _step(self, context: StepContext) -> None:
        context.apply(optimizers.sgd)


@dataclass(eq=False)
class Momentum(Optimizer):
    r"""Stochastic gradient descent with momentum.

    .. math::
        \text{classic:} \quad v_t &= \alpha v_{t-1} - \eta g_t, & w_t &= w_{t-1} + v_t \\
        \text{ema:} \quad v_t &= \alpha v_{t-1} + (1 - \alpha) g_t, & w_t &= w_{t-1} - \eta v_t \\
        \text{torch:} \quad v_t &= \alpha v_{t-1} + (1 - d) g_t, & w_t &= w_{t-1} - \eta v_t

    Parameters
    ----------
    lr : float, Schedule or function
        Step size :math:`\eta`, above 0.
    momentum : float
        Factor :math:`\alpha` of the velocity in each step, in [0, 1).
    form : {"classic", "ema", "torch"}
        Which of the three formulas.
    dampening : float
        :math:`d` of the form "torch", in [0, 1]. It does not apply to the first step, whose
        velocity is the gradient.
    **options
        Settings of every `Optimizer`: weight_decay, clip_norm, clip_each, clip_value, groups.

    Raises
    ------
    ValueError
        If a setting is out of its range, or there is dampening in another form.

    Notes
    -----
    State: ``v``. At constant :math:`\eta` all forms take the same steps: the velocity of "torch"
    without dampening is :math:`-1 / \eta` times the classic one, and that of "ema" with rate
    :math:`\eta / (1 - \alpha)` is :math:`1 - \alpha` times that of "torch". After a change of
    :math:`\eta`, the classic velocity still contains steps of the old size.
    NumPy reference: `deepfs.reference.momentum`.

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

    lr: Rate = 0.01
    momentum: float = 0.9
    form: str = "classic"
    dampening: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.momentum = number(self.momentum, "momentum", "[0, 1)")
        self.form = one_of(self.form, "form", ("classic", "ema", "torch"))
        self.dampening = number(self.dampening, "dampening", "[0, 1]")
        if self.dampening and self.form != "torch":
            raise ValueError(f'dampening is of the form "torch", got form={self.form!r}')

    def init(self, w: Array) -> dict[str, Array]:
        return {"v": zeros_like(w)}

    def _step(self, context: StepContext) -> None:
        alpha = self.momentum
        if self.form == "classic":
            context.apply(optimizers.momentum, ("v",), alpha=alpha)
            return
        dampening = alpha if self.form == "ema" else 0.0 if context.t == 1 else self.dampening
        context.apply(optimizers.dampened_momentum, ("v",), alpha=alpha, dampening=dampening)


@dataclass(eq=False)
class Nesterov(Optimizer):
    r"""Stochastic gradient descent with Nesterov momentum.

    The gradient is taken at the point to which the velocity leads. The weights of the network are
    that point, :math:`w = \theta + \alpha v`:

    .. math::
        v_t = \alpha v_{t-1} - \eta g_t, \quad
        w_t = w_{t-1} - \alpha v_{t-1} + (1 + \alpha) v_t = w_{t-1} + \alpha v_t - \eta g_t

    Parameters
    ----------
    lr : float, Schedule or function
        Step size :math:`\eta`, above 0.
    momentum : float
        Factor :math:`\alpha` of the velocity in each step, in [0, 1).
    **options
        Settings of every `Optimizer`: weight_decay, clip_norm, clip_each, clip_value, groups.

    Raises
    ------
    ValueError
        If a setting is out of its range.

    Notes
    -----
    State: ``v``. At constant :math:`\eta` the path is that of ``torch.optim.SGD(nesterov=True)``.
    NumPy reference: `deepfs.reference.nesterov`.

    References
    ----------
    Nesterov, "A method of solving a convex programming problem with convergence rate O(1/k^2)",
    1983.
    Sutskever et al., "On the importance of initialization and momentum in deep learning", 2013.

    Examples
    --------
    >>> w, optimizer = np.array([1.0]), Nesterov(0.5, momentum=0.5)
    >>> optimizer.step(w, np.array([1.0]), optimizer.init(w), t=1)
    >>> w
    array([0.25])
    """

    lr: Rate = 0.01
    momentum: float = 0.9

    def __post_init__(self) -> None:
        super().__post_init__()
        self.momentum = number(self.momentum, "momentum", "[0, 1)")

    def init(self, w: Array) -> dict[str, Array]:
        return {"v": zeros_like(w)}

    def _step(self, context: StepContext) -> None:
        context.apply(optimizers.nesterov, ("v",), alpha=self.momentum)
