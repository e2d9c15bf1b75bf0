"""Softmax and its logarithm. Kernel: ``src/cnn_core/softmax.pyx``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from cnn_core import softmax

from .._arrays import Array, Shape, channels_first, channels_last, empty
from ._base import Layer


class _AlongClasses(Layer):
    """A function along the axis of classes, whose derivative follows from its output."""

    logarithm: ClassVar[bool]

    def _out_shape(self, in_shape: Shape) -> Shape:
        if not in_shape or in_shape[0] < 1:
            raise ValueError(f"{self.label} needs an axis of classes, got shape {in_shape}")
        return in_shape

    def _forward(self, x: Array, training: bool) -> tuple[Array, Any]:
        self.check_shape(x)
        x = channels_last(x)
        y, c = empty(x.shape, x.dtype), x.shape[-1]
        softmax.softmax(x.reshape(-1, c), y.reshape(-1, c), self.logarithm)
        return channels_first(y), y

    def _backward(self, dy: Array, cache: Any, need_dx: bool) -> Array | None:
        if not need_dx:
            return None
        dy = channels_last(dy)
        dx, c = empty(cache.shape, cache.dtype), cache.shape[-1]
        softmax.softmax_backward(
            cache.reshape(-1, c), dy.reshape(-1, c), dx.reshape(-1, c), self.logarithm
        )
        return channels_first(dx)


@dataclass(eq=False)
class Softmax(_AlongClasses):
    r"""Softmax activation: probabilities of classes from logits.

    .. math::
        y_k = \frac{e^{x_k}}{\sum_j e^{x_j}}, \quad
        dx_k = y_k \Bigl(dy_k - \sum_j y_j\, dy_j\Bigr)

    Notes
    -----
    Shapes: ``(n, c, ...)``, unchanged; classes along the second axis. The largest number is
    subtracted first, so nothing overflows. For training, leave this layer out:
    `deepfs.losses.CrossEntropy` takes the logits. NumPy reference: `deepfs.reference.softmax`.

    References
    ----------
    Bridle, "Probabilistic interpretation of feedforward classification network outputs", 1990.

    Examples
    --------
    >>> from deepfs.layers import Softmax
    >>> Softmax()(np.array([[0.0, np.log(3.0)]])).round(2)
    array([[0.25, 0.75]])
    """

    logarithm = False


@dataclass(eq=False)
class LogSoftmax(_AlongClasses):
    r"""Log-softmax activation: logarithms of the probabilities of classes.

    .. math::
        y_k = x_k - \ln \sum_j e^{x_j}, \quad
        dx_k = dy_k - e^{y_k} \sum_j dy_j

    Notes
    -----
    Shapes: ``(n, c, ...)``, unchanged; classes along the second axis. The largest number is
    subtracted first, so nothing overflows, and no logarithm of 0 is taken: the value of an
    improbable class stays finite. `deepfs.losses.CrossEntropy` takes logits and needs no
    log-softmax. NumPy reference: `deepfs.reference.log_softmax`.

    References
    ----------
    Bridle, "Probabilistic interpretation of feedforward classification network outputs", 1990.

    Examples
    --------
    >>> from deepfs.layers import LogSoftmax
    >>> LogSoftmax()(np.array([[0.0, 1e4]]))
    array([[-10000.,      0.]])
    """

    logarithm = True
