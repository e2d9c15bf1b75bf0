"""Activations. Kernel: ``src/cnn_core/activation.pyx``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from cnn_core import activation

from ._base import Array, Layer, Shape, as_seen, empty, in_memory


class _Elementwise(Layer):
    """A function of each number alone, whose derivative follows from its output."""

    kind: ClassVar[int]  # what the kernels call it

    def _out_shape(self, in_shape: Shape) -> Shape:
        return in_shape

    def _forward(self, x: Array, training: bool) -> tuple[Array, Any]:
        x = in_memory(x)
        y = empty(x.shape, x.dtype)
        activation.forward(self.kind, x.reshape(-1), y.reshape(-1))
        return as_seen(y), y

    def _backward(self, dy: Array, cache: Any, need_dx: bool) -> Array | None:
        if not need_dx:
            return None
        dx = empty(cache.shape, cache.dtype)
        dy = in_memory(dy)
        activation.backward(self.kind, cache.reshape(-1), dy.reshape(-1), dx.reshape(-1))
        return as_seen(dx)


@dataclass(eq=False)
class ReLU(_Elementwise):
    r"""Keep what is positive.

    .. math:: y = \max(x, 0), \quad dx = dy \text{ where } x > 0, \text{ else } 0

    Notes
    -----
    Shapes: any, unchanged. The derivative at 0 is 0; NaN stays NaN.
    Twin: `deepfs.reference.relu`.

    References
    ----------
    Nair and Hinton, "Rectified linear units improve restricted Boltzmann machines", 2010.

    Examples
    --------
    >>> from deepfs.layers import ReLU
    >>> ReLU()(np.array([-1.0, 2.0]))
    array([0., 2.])
    """

    kind = activation.relu


@dataclass(eq=False)
class Sigmoid(_Elementwise):
    r"""Squash to (0, 1).

    .. math:: y = \frac{1}{1 + e^{-x}}, \quad dx = dy\, y (1 - y)

    Notes
    -----
    Shapes: any, unchanged. No input overflows. Twin: `deepfs.reference.sigmoid`.

    References
    ----------
    Rumelhart, Hinton and Williams, "Learning representations by back-propagating errors", 1986.

    Examples
    --------
    >>> from deepfs.layers import Sigmoid
    >>> Sigmoid()(np.array([0.0, 1e4]))
    array([0.5, 1. ])
    """

    kind = activation.sigmoid


@dataclass(eq=False)
class Tanh(_Elementwise):
    r"""Squash to (-1, 1).

    .. math:: y = \tanh x, \quad dx = dy\, (1 - y^2)

    Notes
    -----
    Shapes: any, unchanged. Twin: `deepfs.reference.tanh`.

    References
    ----------
    LeCun, Bottou, Orr and Müller, "Efficient BackProp", 1998.

    Examples
    --------
    >>> from deepfs.layers import Tanh
    >>> Tanh()(np.array([0.0, 1e4]))
    array([0., 1.])
    """

    kind = activation.tanh
