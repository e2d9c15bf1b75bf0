"""The optimizer AdaBelief. Rule: ``adabelief_kernel.pyx``."""

from dataclasses import dataclass

from deepfs.layers import number
from deepfs.optimizers import Optimizer, zeros_like

from . import adabelief_kernel


@dataclass(eq=False)
class AdaBelief(Optimizer):
    """AdaBelief optimizer: long steps where gradients are as expected, short ones elsewhere.

    Parameters
    ----------
    lr : float, Schedule or function
        Step size, above 0.
    beta1, beta2 : float
        Decay per step of the mean m of gradients, and of their variance v around m, in [0, 1).
    eps : float
        Added to v in each step, and to its root, above 0.
    **options
        Settings of every `Optimizer`: weight_decay, clip_norm, clip_each, clip_value, groups.

    Notes
    -----
    State: ``m``, ``v``.

    References
    ----------
    Zhuang et al., "AdaBelief optimizer: adapting stepsizes by the belief in observed gradients",
    2020, arXiv:2010.07468.
    """

    lr: float = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-16

    def __post_init__(self):
        super().__post_init__()
        self.beta1 = number(self.beta1, "beta1", "[0, 1)")
        self.beta2 = number(self.beta2, "beta2", "[0, 1)")
        self.eps = number(self.eps, "eps", "(0, inf)")

    def init(self, w):
        return {"m": zeros_like(w), "v": zeros_like(w)}

    def _step(self, context):
        context.apply(
            adabelief_kernel.adabelief,
            ("m", "v"),
            beta1=self.beta1,
            beta2=self.beta2,
            m_scale=1 / (1 - self.beta1**context.t),
            v_scale=1 / (1 - self.beta2**context.t),
            eps=self.eps,
        )
