"""Instance normalization. Kernel: ``src/cnn_core/group_norm.pyx``."""

from __future__ import annotations

from dataclasses import dataclass

from .._arrays import Array, Shape
from .._check import flag, number
from ._norm import ChannelNorm


@dataclass(eq=False)
class InstanceNorm(ChannelNorm):
    r"""Instance normalization: normalize each channel of each sample over its pixels.

    .. math::
        y = \gamma \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}} + \beta

    :math:`\mu` and :math:`\sigma^2` are the mean and the biased variance over the pixels of one
    channel of one sample. Training and inference are the same.

    Parameters
    ----------
    eps : float
        Term :math:`\epsilon` under the root, above 0.
    affine : bool
        Learn gamma and beta; otherwise they are 1 and 0 (PyTorch's default).

    Raises
    ------
    TypeError, ValueError
        If a setting is of the wrong kind or out of range, or, on call, if the number of channels is
        not that of the first input, or a channel has only one pixel.

    Notes
    -----
    Shapes: ``(n, c, l)`` or ``(n, c, h, w)``, unchanged. ``gamma`` and ``beta`` are ``(c,)``.
    NumPy reference: `deepfs.reference.instance_norm`.

    References
    ----------
    Ulyanov, Vedaldi and Lempitsky, "Instance normalization: the missing ingredient for fast
    stylization", 2016, arXiv:1607.08022.

    Examples
    --------
    >>> from deepfs.layers import InstanceNorm
    >>> InstanceNorm()(np.array([[[1.0, 3.0], [50.0, 20.0]]])).round(3)
    array([[[-1.,  1.],
            [ 1., -1.]]])
    """

    eps: float = 1e-5
    affine: bool = True

    input_rank = (3, 4)
    changeable = frozenset({"eps"})

    def __post_init__(self) -> None:
        self.eps = number(self.eps, "eps", "(0, inf)")
        self.affine = flag(self.affine, "affine")

    def _out_shape(self, in_shape: Shape) -> Shape:
        self._check_channels(in_shape, in_shape[0], "channel")
        return in_shape

    def _rows(self, x: Array) -> tuple[Array, int, int]:
        return self._columns(x), x.shape[1], 1
