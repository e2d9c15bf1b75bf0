"""Dropout. Kernels: ``src/cnn_core/dropout.pyx``, ``random.pyx``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cnn_core import dropout

from .._arrays import Array, Shape, empty, ignore_overflow, logical, physical
from .._check import number, one_of
from ._random import RandomLayer, scale_of


@dataclass(eq=False)
class Dropout(RandomLayer):
    r"""Dropout: set entries to zero at random in training.

    .. math:: y = \frac{x\, m}{1 - p}, \quad dx = \frac{dy\, m}{1 - p}, \quad P(m = 0) = p

    Parameters
    ----------
    p : float
        Probability of dropping, in [0, 1]. With 1 the output is zero.
    scaling : {"train", "test"}
        "train" divides by 1 - p in training, and inference changes nothing: "inverted" dropout, as
        in every framework. "test" is the textbook's form: training only drops, and inference
        multiplies by 1 - p.

    Raises
    ------
    ValueError
        If a setting is out of range.

    Notes
    -----
    Shapes: any, unchanged. Buffer ``key``: seed and stream of the layer's random numbers, chosen
    when it is built; buffer ``calls``: the number of masks drawn so far. They determine the next
    mask on any number of threads. Write to them to choose the masks.
    NumPy reference: `deepfs.reference.dropout`.

    References
    ----------
    Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", 2014.

    Examples
    --------
    >>> from deepfs.layers import Dropout
    >>> y, cache = Dropout(0.5).forward(np.ones((2, 500)), training=True)
    >>> sorted({float(v) for v in y.flat})
    [0.0, 2.0]
    """

    p: float = 0.5
    scaling: str = "train"

    changeable = frozenset({"p", "scaling"})

    def __post_init__(self) -> None:
        self.p = number(self.p, "p", "[0, 1]")
        one_of(self.scaling, "scaling", ("train", "test"))

    def _out_shape(self, in_shape: Shape) -> Shape:
        return in_shape

    def _forward(self, x: Array, training: bool) -> tuple[Array, Any]:
        if not training:
            return (x if self.scaling == "train" else self._expected(x)), None
        draw = self._new_draw()
        return self._masked(x, draw), draw

    def _backward(self, dy: Array, cache: Any, need_dx: bool) -> Array | None:
        if not need_dx:
            return None
        if cache is None:
            return dy.copy() if self.scaling == "train" else self._expected(dy)
        return self._masked(dy, cache)

    def _expected(self, x: Array) -> Array:
        with ignore_overflow():  # infinite times 0
            return x * (1 - self.p)

    def _masked(self, x: Array, draw: tuple[int, ...]) -> Array:
        x = physical(x)
        y = empty(x.shape, x.dtype)
        scale = scale_of(self.p) if self.scaling == "train" else 1.0
        dropout.drop(x.reshape(-1), y.reshape(-1), self.p, scale, *draw)
        return logical(y)
