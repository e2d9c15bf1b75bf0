"""Dirac initializer: convolutions that copy their input."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .._check import shape as shape_of
from .._check import whole
from .._settings import ExplainedSettings
from ..random import Random
from ._base import Array, Initializer
from ._named import get


@dataclass
class Dirac(ExplainedSettings):
    r"""Dirac initializer: a convolution that starts as the identity.

    Filter :math:`d` copies channel :math:`d`, as long as there are channels:

    .. math::
        w_{d, c, i, j} = [c = d]\, [i = \lfloor k_h / 2 \rfloor]\,
        [j = \lfloor k_w / 2 \rfloor], \quad d < \min(c_o, c_i)

    Parameters
    ----------
    rest : str or function
        Initializer of the filters beyond :math:`c_i`, by its name or as an object; it is asked for
        the whole weight, so its fans are those of the layer. By default they are 0, as in PyTorch.
        For ReLU, 0 is a unit that never learns: ``"he_normal"`` gives random filters.
    groups : int
        Groups of the convolution, at least 1: in each, the first filters copy its channels.

    Raises
    ------
    TypeError, ValueError
        If a setting is of the wrong kind or out of range; ValueError, on call, if the shape has
        fewer than 3 axes, or its filters cannot be divided into the groups.

    Notes
    -----
    Shapes: (co, ci/groups, kh, kw), or with another number of axes of a window. With stride 1 and
    padding "same", the first channels of the output are the input, bit by bit, if the windows are
    of odd size. Of even windows the entry right of and below the middle is 1.
    NumPy reference: `deepfs.reference.dirac`.

    References
    ----------
    Zagoruyko and Komodakis, "DiracNets: training very deep neural networks without
    skip-connections", 2017, arXiv:1706.00388; ``torch.nn.init.dirac_``. Jordan, "94% on CIFAR-10 in
    3.29 seconds on a single GPU", 2024, arXiv:2404.00498 (random filters beyond).

    Examples
    --------
    >>> from deepfs import layers as L
    >>> from deepfs.random import Random
    >>> Dirac()((2, 2, 1, 1), Random(0)).reshape(2, 2)
    array([[1., 0.],
           [0., 1.]])
    >>> x = np.random.default_rng(0).random((1, 3, 8, 8))
    >>> y = L.Conv2D(8, 3, padding="same", initializer=Dirac(rest="he_normal"))(x)
    >>> bool((y[:, :3] == x).all())
    True
    """

    rest: str | Initializer = "zeros"
    groups: int = 1

    def __post_init__(self) -> None:
        get(self.rest, "rest")
        self.groups = whole(self.groups, "groups")

    def __call__(self, shape: tuple[int, ...], rng: Random) -> Array:
        shape = shape_of(shape)
        if len(shape) < 3:
            raise ValueError(f"Dirac needs the shape of a convolution, (co, ci, ...), got {shape}")
        filters, channels, *window = shape
        if filters % self.groups:
            raise ValueError(f"Dirac(groups={self.groups}) needs filters in equal groups, got "
                             f"{filters}")  # fmt: skip
        w = np.array(get(self.rest)(shape, rng))
        middle = tuple(size // 2 for size in window)
        each = filters // self.groups
        for first in range(0, filters, each or 1):
            for d in range(min(each, channels)):
                w[first + d] = 0
                w[(first + d, d, *middle)] = 1
        return w
