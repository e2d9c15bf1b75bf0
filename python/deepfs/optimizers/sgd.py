"""SGD, Momentum, Nesterov. Kernel: ``src/cnn_core/optimizers.pyx``."""

from __future__ import annotations

from dataclasses import dataclass

from cnn_core import optimizers

from .._arrays import Array
from .._check import number, one_of
from ..schedules import Schedule
from ._base import Optimizer
from ._plan import Pass, zeros_like


@dataclass(eq=False)
class SGD(Optimizer):
    r"""Step against the gradient.

    .. math:: w_t = w_{t-1} - \eta g_t

    Parameters
    ----------
    lr : float or Schedule
        Step size :math:`\eta`, above 0.
    **frame
        As of every `Optimizer`: weight_decay, clip_norm, clip_each, clip_value, groups.

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

    lr: float | Schedule = 0.01

    def init(self, w: Array) -> dict[str, Array]:
        return {}

    def _step(self, this: Pass) -> None:
        this.run(optimizers.sgd)


@dataclass(eq=False)
class Momentum(Optimizer):
    r"""Step along a velocity that gradients push.

    .. math::
        \text{classic:} \quad v_t &= \alpha v_{t-1} - \eta g_t, & w_t &= w_{t-1} + v_t \\
        \text{ema:} \quad v_t &= \alpha v_{t-1} + (1 - \alpha) g_t, & w_t &= w_{t-1} - \eta v_t \\
        \text{torch:} \quad v_t &= \alpha v_{t-1} + (1 - d) g_t, & w_t &= w_{t-1} - \eta v_t

    Parameters
    ----------
    lr : float or Schedule
        Step size :math:`\eta`, above 0.
    momentum : float
        What a step keeps of the velocity, :math:`\alpha`, in [0, 1).
    form : {"classic", "ema", "torch"}
        Which of the three.
    dampening : float
        Of the form "torch", :math:`d` in [0, 1]: the first velocity is the gradient all the same.
    **frame
        As of every `Optimizer`: weight_decay, clip_norm, clip_each, clip_value, groups.

    Raises
    ------
    ValueError
        If a setting is out of its range, or there is dampening in another form.

    Notes
    -----
    State: ``v``. At constant :math:`\eta` all go the same way: "torch" without dampening has
    :math:`-1 / \eta` times the classic velocity, and "ema" at :math:`\eta / (1 - \alpha)` has
    :math:`1 - \alpha` times that. When :math:`\eta` changes, the classic velocity remembers the
    old one. Twin: `deepfs.reference.momentum`.

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

    lr: float | Schedule = 0.01
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

    def _step(self, this: Pass) -> None:
        # v = keep v + (gain + gain_lr lr) g; w += (share + share_lr lr) v + past_lr lr g
        if self.form == "classic":
            gain, gain_lr, share, share_lr = 0.0, -1.0, 1.0, 0.0
        else:
            first = this.t == 1 and self.form == "torch"
            lost = self.momentum if self.form == "ema" else 0.0 if first else self.dampening
            gain, gain_lr, share, share_lr = 1 - lost, 0.0, 0.0, -1.0
        this.run(optimizers.momentum, ("v",), self.momentum, gain, gain_lr, share, share_lr)


@dataclass(eq=False)
class Nesterov(Optimizer):
    r"""Step along a velocity whose gradient is taken where the velocity leads.

    With the weights that are kept, :math:`w = \theta + \alpha v`, already there:

    .. math::
        v_t = \alpha v_{t-1} - \eta g_t, \quad
        w_t = w_{t-1} - \alpha v_{t-1} + (1 + \alpha) v_t = w_{t-1} + \alpha v_t - \eta g_t

    Parameters
    ----------
    lr : float or Schedule
        Step size :math:`\eta`, above 0.
    momentum : float
        What a step keeps of the velocity, :math:`\alpha`, in [0, 1).
    **frame
        As of every `Optimizer`: weight_decay, clip_norm, clip_each, clip_value, groups.

    Raises
    ------
    ValueError
        If a setting is out of its range.

    Notes
    -----
    State: ``v``. At constant :math:`\eta` the path is that of ``torch.optim.SGD(nesterov=True)``.
    Twin: `deepfs.reference.nesterov`.

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

    lr: float | Schedule = 0.01
    momentum: float = 0.9

    def __post_init__(self) -> None:
        super().__post_init__()
        self.momentum = number(self.momentum, "momentum", "[0, 1)")

    def init(self, w: Array) -> dict[str, Array]:
        return {"v": zeros_like(w)}

    def _step(self, this: Pass) -> None:
        this.run(optimizers.momentum, ("v",), self.momentum, 0.0, -1.0, self.momentum, 0.0, -1.0)
