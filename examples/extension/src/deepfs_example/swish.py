"""The layer Swish. Kernel: ``swish_kernel.pyx``."""

from dataclasses import dataclass

from deepfs.layers import Layer, empty, logical, number, physical

from . import swish_kernel as kernel


@dataclass(eq=False)
class Swish(Layer):
    """y = x sigmoid(beta x).

    Parameters
    ----------
    beta : float
        Any finite number; 1 gives SiLU.

    Notes
    -----
    Shapes: any, unchanged. The formula is that of Swish (Ramachandran, Zoph and Le, 2017,
    arXiv:1710.05941).

    Examples
    --------
    >>> import numpy as np
    >>> from deepfs_example import Swish
    >>> Swish()(np.array([0.0, 100.0]))
    array([  0., 100.])
    """

    beta: float = 1.0

    changeable = frozenset({"beta"})  # may be assigned after the layer is built

    def __post_init__(self):
        self.beta = number(self.beta, "beta", "(-inf, inf)")

    def _out_shape(self, in_shape):
        return in_shape

    def _forward(self, x, training):
        x = physical(x)  # without gaps in memory, channels last
        y = empty(x.shape, x.dtype)
        kernel.forward(x.reshape(-1), y.reshape(-1), self.beta)
        return logical(y), x

    def _backward(self, dy, cache, need_dx):
        if not need_dx:
            return None
        x, dy = cache, physical(dy)
        dx = empty(x.shape, x.dtype)
        kernel.backward(x.reshape(-1), dy.reshape(-1), dx.reshape(-1), self.beta)
        return logical(dx)
