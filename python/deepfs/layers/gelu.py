"""SiLU, GELU and hard swish: x S(x). Kernel: ``src/cnn_core/activation.pyx``.

S rises from 0 to 1, so each function is about 0 far below 0 and about x far above. At infinite x
the result is the limit: -infinity gives 0, where the product as written would give NaN.
"""

from __future__ import annotations

from dataclasses import dataclass

from cnn_core import activation

from .._check import flag
from .activation import Elementwise


@dataclass(eq=False)
class SiLU(Elementwise):
    r"""Sigmoid linear unit (SiLU, swish) activation: x times its sigmoid.

    .. math:: y = x\, s, \quad s = \frac{1}{1 + e^{-x}}, \quad dx = dy\, (s + x s (1 - s))

    Notes
    -----
    Shapes: any, unchanged. NaN stays NaN, -inf gives 0 (in PyTorch, NaN).
    NumPy reference: `deepfs.reference.silu`.

    References
    ----------
    Elfwing, Uchibe and Doya, "Sigmoid-weighted linear units for neural network function
    approximation in reinforcement learning", 2017, arXiv:1702.03118.

    Examples
    --------
    >>> import numpy as np
    >>> from deepfs.layers import SiLU
    >>> SiLU()(np.array([-1.0, 0.0, 20.0])).round(4)
    array([-0.2689,  0.    , 20.    ])
    """

    kind = activation.silu


@dataclass(eq=False)
class GELU(Elementwise):
    r"""Gaussian error linear unit (GELU) activation: x times the normal distribution function.

    .. math::
        y = x\, \Phi(x), \quad \Phi(x) = \tfrac12 \Bigl(1 + \mathrm{erf} \frac{x}{\sqrt 2}\Bigr),
        \quad dx = dy\, \Bigl(\Phi(x) + \frac{x\, e^{-x^2 / 2}}{\sqrt{2 \pi}}\Bigr)

    Parameters
    ----------
    approximate : bool
        Use :math:`\Phi(x) \approx \frac12 (1 + \tanh u)`,
        :math:`u = \sqrt{2 / \pi}\, (x + 0.044715 x^3)` instead, as GPT-2 does. The error is at
        most 5e-4; it takes about three quarters of the time.

    Raises
    ------
    TypeError
        If ``approximate`` is not True or False.

    Notes
    -----
    Shapes: any, unchanged. Far below 0, where :math:`1 + \mathrm{erf}` would cancel, :math:`\Phi`
    keeps its digits. NaN stays NaN, -inf gives 0 (in PyTorch, NaN).
    NumPy reference: `deepfs.reference.gelu`.

    References
    ----------
    Hendrycks and Gimpel, "Gaussian error linear units (GELUs)", 2016, arXiv:1606.08415.

    Examples
    --------
    >>> import numpy as np
    >>> from deepfs.layers import GELU
    >>> GELU()(np.array([-1.0, 0.0, 1.0])).round(4)
    array([-0.1587,  0.    ,  0.8413])
    """

    approximate: bool = False

    def __post_init__(self) -> None:
        self.approximate = flag(self.approximate, "approximate")
        self.kind = activation.gelu_tanh if self.approximate else activation.gelu


@dataclass(eq=False)
class HardSwish(Elementwise):
    r"""Hard swish activation: SiLU with a straight line in place of the sigmoid.

    .. math::
        y = x\, \frac{\min(\max(x + 3, 0), 6)}{6}, \quad
        dx = dy\, \Bigl(\frac{x}{3} + \frac12\Bigr) \text{ where } |x| < 3

    Notes
    -----
    Shapes: any, unchanged. Where x <= -3, dx is 0; where x >= 3, dx is dy. NaN stays NaN, -inf
    gives 0 (in PyTorch, NaN). NumPy reference: `deepfs.reference.hard_swish`.

    References
    ----------
    Howard et al., "Searching for MobileNetV3", 2019, arXiv:1905.02244.

    Examples
    --------
    >>> import numpy as np
    >>> from deepfs.layers import HardSwish
    >>> HardSwish()(np.array([-4.0, 0.0, 1.5, 4.0]))
    array([-0.   ,  0.   ,  1.125,  4.   ])
    """

    kind = activation.hard_swish
