"""Layer normalization. Kernel: ``src/cnn_core/group_norm.pyx``."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from .._arrays import Array, Shape, logical, physical
from .._check import flag, number, whole
from ._norm import SampleNorm


@dataclass(eq=False)
class LayerNorm(SampleNorm):
    r"""Layer normalization: normalize each sample over its last axes.

    .. math::
        y = \gamma \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}} + \beta

    :math:`\mu` and :math:`\sigma^2` are the mean and the biased variance over the last axes, in
    logical order. Training and inference are the same.

    Parameters
    ----------
    axes : int
        Number of last axes, 1 to 3: for images, 1 means w; 2 means h and w; 3 means c, h and w.
    eps : float
        Term :math:`\epsilon` under the root, above 0.
    affine : bool
        Learn gamma and beta; otherwise they are 1 and 0.

    Raises
    ------
    TypeError, ValueError
        If a setting is of the wrong kind or out of range, or, on call, if the input has too few
        axes, or the last are not as long as those of the first input.

    Notes
    -----
    Shapes: ``(n, c)``, ``(n, c, l)`` or ``(n, c, h, w)``, unchanged. ``gamma`` and ``beta`` have
    the shape of the normalized axes, as in ``torch.nn.LayerNorm``. The mean of a single number is
    that number, so the output is beta. NumPy reference: `deepfs.reference.layer_norm`.

    References
    ----------
    Ba, Kiros and Hinton, "Layer normalization", 2016, arXiv:1607.06450.

    Examples
    --------
    >>> from deepfs.layers import LayerNorm
    >>> LayerNorm()(np.array([[1.0, 3.0], [50.0, 20.0]])).round(3)
    array([[-1.,  1.],
           [ 1., -1.]])
    """

    axes: int = 1
    eps: float = 1e-5
    affine: bool = True

    input_rank = (2, 3, 4)
    changeable = frozenset({"eps"})

    def __post_init__(self) -> None:
        self.axes = whole(self.axes, "axes", 1, 3)
        self.eps = number(self.eps, "eps", "(0, inf)")
        self.affine = flag(self.affine, "affine")

    def _out_shape(self, in_shape: Shape) -> Shape:
        got = ", ".join(map(str, ("n", *in_shape)))
        if len(in_shape) < self.axes:
            raise ValueError(
                f"{self.label} over {self.axes} axes takes more than {self.axes} dimensional "
                f"input, got shape ({got})"
            )
        last = in_shape[-self.axes :]
        takes = self.in_shape[-self.axes :] if self.in_shape else last
        if last != takes or prod(last) < 1:
            ending = ", ".join(str(max(extent, 1)) for extent in takes)
            raise ValueError(f"{self.label} takes shapes (..., {ending}), got shape ({got})")
        return in_shape

    def _build(self, in_shape: Shape, dtype: np.dtype[Any]) -> None:
        # all of an image in the order of its memory, so that gamma lies beside x
        self._learn(in_shape[-self.axes :], dtype, (1, 2, 0) if self.axes == 3 else None)

    def _rows(self, x: Array) -> tuple[Array, int, int]:
        memory = physical(x)
        if x.ndim < 4 or self.axes == 3 or x.shape[1] == 1:
            last = prod(x.shape[-self.axes :])
            return memory.reshape(prod(x.shape[: -self.axes]), 1, last), 1, 1
        n, h, w, c = memory.shape
        if c == 0:  # nothing to normalise: no rows, of any width
            return memory.reshape(0, w if self.axes == 1 else h * w, 1), 1, 1
        return memory.reshape((n * h, w, c) if self.axes == 1 else (n, h * w, c)), c, c

    def _logical(self, rows: Array, shape: Shape) -> Array:
        if len(shape) == 4:
            shape = (shape[0], *shape[2:], shape[1])
        return logical(rows.reshape(shape))
