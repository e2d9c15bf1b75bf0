"""Adam, AdamW and Adamax. Kernel: ``src/cnn_core/optimizers.pyx``.

They keep m, a running mean of the gradient, and v, one of its square, and step by about
m / sqrt(v). Variants differ in how they correct the means for their start at 0, in the numerator,
in the norm that v stands for, and in how weights decay.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import ClassVar

from cnn_core import optimizers

from .._arrays import Array
from .._check import flag, number, one_of
from ..schedules.function import Rate
from ._arena import zeros_like
from ._base import Optimizer
from ._context import StepContext


@dataclass(eq=False)
class Moments(Optimizer):
    """What Adam and its variants share: two running means, which decay by beta1 and beta2."""

    lr: Rate = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999

    def __post_init__(self) -> None:
        super().__post_init__()
        self.beta1 = number(self.beta1, "beta1", "[0, 1)")
        self.beta2 = number(self.beta2, "beta2", "[0, 1)")

    def init(self, w: Array) -> dict[str, Array]:
        return {"m": zeros_like(w), "v": zeros_like(w)}


@dataclass(eq=False)
class Adam(Moments):
    r"""Adam optimizer: divide a running mean of the gradient by the root of one of its square.

    .. math::
        m_t &= \beta_1 m_{t-1} + (1 - \beta_1) g_t \\
        v_t &= \beta_2 v_{t-1} + (1 - \beta_2) g_t^2 \\
        w_t &= w_{t-1} - \eta \frac{m_t / (1 - \beta_1^t)}
               {\sqrt{v_t / (1 - \beta_2^t)} + \epsilon}

    Parameters
    ----------
    lr : float, Schedule or function
        Step size :math:`\eta`, above 0.
    beta1, beta2 : float
        Decay per step of the means :math:`m` and :math:`v`, in [0, 1).
    eps : float, optional
        Term :math:`\epsilon` outside the root, above 0. The default is 1e-8, and 1e-7 with
        ``eps_mode="textbook"``.
    amsgrad : bool
        Divide by the root of the largest :math:`v` so far instead of the last one (AMSGrad).
    eps_mode : {"hat", "textbook"}
        "hat" adds eps to the corrected root, as above. "textbook" adds it to :math:`\sqrt{v_t}` and
        multiplies the step by :math:`\sqrt{1 - \beta_2^t}`: eps weighs more in the first steps.
    **options
        Settings of every `Optimizer`: weight_decay, clip_norm, clip_each, clip_value, groups.

    Raises
    ------
    ValueError
        If a setting is out of its range.

    Notes
    -----
    State: ``m``, ``v``; ``v_max`` with amsgrad. NumPy reference: `deepfs.reference.adam`.

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

    eps: float | None = None  # a number from `__post_init__` on
    amsgrad: bool = False
    eps_mode: str = "hat"

    def __post_init__(self) -> None:
        self.amsgrad = flag(self.amsgrad, "amsgrad")
        self.eps_mode = one_of(self.eps_mode, "eps_mode", ("hat", "textbook"))
        if self.eps is None:
            self.eps = 1e-8 if self.eps_mode == "hat" else 1e-7
        super().__post_init__()
        self.eps = number(self.eps, "eps", "(0, inf)")

    def init(self, w: Array) -> dict[str, Array]:
        state = super().init(w)
        return state | {"v_max": zeros_like(w)} if self.amsgrad else state

    def _step(self, context: StepContext) -> None:
        assert self.eps is not None
        m_scale, root = 1 / (1 - self.beta1**context.t), sqrt(1 - self.beta2**context.t)
        root_scale = 1 / root
        if self.eps_mode == "textbook":
            m_scale, root_scale = m_scale * root, 1.0
        if self.amsgrad:
            context.apply(
                optimizers.amsgrad, ("m", "v", "v_max"), beta1=self.beta1, beta2=self.beta2,
                m_scale=m_scale, root_scale=root_scale, eps=self.eps,
            )  # fmt: skip
        else:
            context.apply(
                optimizers.adam, ("m", "v"), beta1=self.beta1, beta2=self.beta2,
                m_scale=m_scale, g_scale=0.0, root_scale=root_scale, eps=self.eps,
            )  # fmt: skip


@dataclass(eq=False)
class AdamW(Adam):
    r"""AdamW optimizer: `Adam` with decoupled weight decay.

    .. math::
        w_t = (1 - \eta \lambda) w_{t-1} - \eta \frac{\hat m_t}{\sqrt{\hat v_t} + \epsilon}

    Parameters
    ----------
    lr : float, Schedule or function
        Step size :math:`\eta`, above 0.
    beta1, beta2, eps, amsgrad, eps_mode
        As in `Adam`.
    weight_decay : float
        :math:`\lambda`, at least 0; 0.01 is common. With the default, 0, this is `Adam`.
    **options
        Settings of every `Optimizer`: clip_norm, clip_each, clip_value, groups.

    Raises
    ------
    ValueError
        If a setting is out of its range.

    Notes
    -----
    State: as in `Adam`. NumPy reference: `deepfs.reference.adam`, `deepfs.reference.weight_decay`.

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
class Adamax(Moments):
    r"""Adamax optimizer: `Adam` with a decaying maximum instead of the root of mean squares.

    .. math::
        u_t = \max(\beta_2 u_{t-1}, |g_t| + \epsilon), \quad
        w_t = w_{t-1} - \frac{\eta}{1 - \beta_1^t} \frac{m_t}{u_t}

    Parameters
    ----------
    lr : float, Schedule or function
        Step size :math:`\eta`, above 0.
    beta1, beta2 : float
        Decay per step of :math:`m` and :math:`u`, in [0, 1).
    eps : float
        Term :math:`\epsilon`, above 0, which keeps :math:`u` above 0.
    **options
        Settings of every `Optimizer`: weight_decay, clip_norm, clip_each, clip_value, groups.

    Raises
    ------
    ValueError
        If a setting is out of its range.

    Notes
    -----
    State: ``m``, ``u``. The paper has no eps; this one is PyTorch's.
    NumPy reference: `deepfs.reference.adamax`.

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

    lr: Rate = 2e-3
    eps: float = 1e-8

    def __post_init__(self) -> None:
        super().__post_init__()
        self.eps = number(self.eps, "eps", "(0, inf)")

    def init(self, w: Array) -> dict[str, Array]:
        return {"m": zeros_like(w), "u": zeros_like(w)}

    def _step(self, context: StepContext) -> None:
        context.apply(
            optimizers.adamax, ("m", "u"), beta1=self.beta1, beta2=self.beta2,
            m_scale=1 / (1 - self.beta1**context.t), eps=self.eps,
        )  # fmt: skip
