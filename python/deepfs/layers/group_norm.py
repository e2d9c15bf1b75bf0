"""Group normalization. Kernel: ``src/cnn_core/group_norm.pyx``."""

from __future__ import annotations

from dataclasses import dataclass

from .._arrays import Array, Shape
from .._check import flag, number, whole
from ._norm import ChannelNorm


@dataclass(eq=False)
class GroupNorm(ChannelNorm):
    r"""Group normalization: normalize each sample over groups of channels.

    .. math::
        y = \gamma \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}} + \beta

    :math:`\mu` and :math:`\sigma^2` are the mean and the biased variance over the channels of the
    group and all pixels. Training and inference are the same, for a batch of any size.

    Parameters
    ----------
    groups : int
        Number of groups of neighbouring channels. 1 is layer normalization of whole samples, though
        with a gamma per channel.
    eps : float
        Term :math:`\epsilon` under the root, above 0.
    affine : bool
        Learn gamma and beta; otherwise they are 1 and 0.

    Raises
    ------
    TypeError, ValueError
        If a setting is of the wrong kind or out of range, or, on call, if the number of channels is
        not that of the first input or not a multiple of ``groups``, or a group of a sample has only
        one value.

    Notes
    -----
    Shapes: ``(n, c)``, ``(n, c, l)`` or ``(n, c, h, w)``, unchanged. ``gamma`` and ``beta`` are
    ``(c,)``. A group of one value would give beta whatever the input, so it is refused (PyTorch
    refuses it only for a batch of one). NumPy reference: `deepfs.reference.group_norm`.

    References
    ----------
    Wu and He, "Group normalization", 2018, arXiv:1803.08494.

    Examples
    --------
    >>> from deepfs.layers import GroupNorm
    >>> GroupNorm(2)(np.array([[1.0, 3.0, 50.0, 20.0]])).round(3)
    array([[-1.,  1.,  1., -1.]])
    """

    groups: int
    eps: float = 1e-5
    affine: bool = True

    input_rank = (2, 3, 4)
    changeable = frozenset({"groups", "eps"})

    def __post_init__(self) -> None:
        self.groups = whole(self.groups, "groups")
        self.eps = number(self.eps, "eps", "(0, inf)")
        self.affine = flag(self.affine, "affine")

    def _out_shape(self, in_shape: Shape) -> Shape:
        if in_shape[0] % self.groups:
            raise ValueError(
                f"{self.label} takes a multiple of {self.groups} channels, got shape {in_shape}"
            )
        self._check_channels(in_shape, self.groups, "group")
        return in_shape

    def _rows(self, x: Array) -> tuple[Array, int, int]:
        return self._columns(x), self.groups, 1
