"""Element-wise activations: ReLU and the like. Kernel: ``src/cnn_core/activation.pyx``.

SiLU, GELU and hard swish are in `gelu`, the ReLU with learned slopes in `prelu`, the maximum over
channels in `maxout`, softmax in `softmax`. `Step` and `Identity` are plain NumPy: no gradient
passes the one, and the other does nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from typing import Any

import numpy as np

from cnn_core import activation

from .._arrays import Array, Shape, empty, logical, physical
from .._check import number
from ._base import Layer

SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772  # as published


class Elementwise(Layer):
    """Base of element-wise activations. The kernel says whether the gradient needs x or y."""

    kind: int  # number of the function in the kernel

    def _out_shape(self, in_shape: Shape) -> Shape:
        return in_shape

    def _numbers(self) -> tuple[float, ...]:
        """Return the parameters that the kernel takes, such as a slope; none by default."""
        return ()

    def _build(self, in_shape: Shape, dtype: np.dtype[Any]) -> None:
        self._check_holds(dtype, *self._numbers())

    def _check_holds(self, dtype: np.dtype[Any], *settings: float) -> None:
        for setting in settings:
            if abs(setting) > float(np.finfo(dtype).max):
                raise ValueError(f"{self.label} computes in {dtype}, which cannot hold {setting}")

    def _array(self, dtype: np.dtype[Any]) -> Array | None:
        """Return the parameters as kernels take them."""
        numbers = self._numbers()
        return np.array(numbers, dtype) if numbers else None

    def _forward(self, x: Array, training: bool) -> tuple[Array, Any]:
        x = physical(x)
        y = empty(x.shape, x.dtype)
        activation.forward(self.kind, x.reshape(-1), y.reshape(-1), self._array(x.dtype))
        cache = x if self.kind in activation.takes_input else y
        return logical(y), cache

    def _backward(self, dy: Array, cache: Any, need_dx: bool) -> Array | None:
        if not need_dx:
            return None
        dx = empty(cache.shape, cache.dtype)
        activation.backward(
            self.kind, cache.reshape(-1), physical(dy).reshape(-1), dx.reshape(-1),
            self._array(cache.dtype),
        )  # fmt: skip
        return logical(dx)


@dataclass(eq=False)
class Step(Layer):
    r"""Heaviside step activation: 1 for positive numbers, 0 for others.

    .. math:: y = 1 \text{ where } x > 0, \text{ else } 0, \quad dx = 0

    Notes
    -----
    Shapes: any, unchanged. At 0 it is 0; NaN stays NaN. The gradient is 0 everywhere, so layers
    before it do not learn. The perceptron used it before `Sigmoid` replaced it by a smooth
    function. NumPy reference: `deepfs.reference.step`.

    References
    ----------
    Rosenblatt, "The perceptron", 1958.

    Examples
    --------
    >>> from deepfs.layers import Step
    >>> Step()(np.array([-1.0, 0.0, 2.0]))
    array([0., 0., 1.])
    """

    def _out_shape(self, in_shape: Shape) -> Shape:
        return in_shape

    def _forward(self, x: Array, training: bool) -> tuple[Array, Any]:
        return np.sign(np.maximum(x, 0)), None  # NaN stays

    def _backward(self, dy: Array, cache: Any, need_dx: bool) -> Array | None:
        return np.zeros_like(dy) if need_dx else None


@dataclass(eq=False)
class Identity(Layer):
    """Identity layer: return the input unchanged.

    y = x, dx = dy

    Notes
    -----
    Shapes: any, unchanged. Use it where a layer is required but nothing is to be computed, such as
    the shortcut of `Branches`. NumPy reference: `deepfs.reference.identity`.

    References
    ----------
    ``torch.nn.Identity``, ``keras.layers.Identity``.

    Examples
    --------
    >>> from deepfs.layers import Identity
    >>> Identity()(np.array([-1.0, 2.0]))
    array([-1.,  2.])
    """

    def _out_shape(self, in_shape: Shape) -> Shape:
        return in_shape

    def _forward(self, x: Array, training: bool) -> tuple[Array, Any]:
        return x, None

    def _backward(self, dy: Array, cache: Any, need_dx: bool) -> Array | None:
        return dy.copy() if need_dx else None


@dataclass(eq=False)
class Sigmoid(Elementwise):
    r"""Sigmoid activation (logistic function): map every number to (0, 1).

    .. math:: y = \frac{1}{1 + e^{-x}}, \quad dx = dy\, y (1 - y)

    Notes
    -----
    Shapes: any, unchanged. No input causes overflow. NumPy reference: `deepfs.reference.sigmoid`.

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
class Tanh(Elementwise):
    r"""Tanh activation (hyperbolic tangent): map every number to (-1, 1).

    .. math:: y = \tanh x, \quad dx = dy\, (1 - y^2)

    Notes
    -----
    Shapes: any, unchanged. NumPy reference: `deepfs.reference.tanh`.

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


@dataclass(eq=False)
class ReLU(Elementwise):
    r"""Rectified linear unit (ReLU) activation: max(x, 0).

    .. math:: y = \max(x, 0), \quad dx = dy \text{ where } x > 0, \text{ else } 0

    Notes
    -----
    Shapes: any, unchanged. The derivative at 0 is 0; NaN stays NaN.
    NumPy reference: `deepfs.reference.relu`.

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
class Clip(Elementwise):
    r"""Clip activation: limit numbers from below, from above or both; ReLU6 is ``Clip(0, 6)``.

    .. math::
        y = \min(\max(x, a), b), \quad dx = dy \text{ where } a < x < b, \text{ else } 0

    Parameters
    ----------
    min_value, max_value : float or None
        The limits :math:`a < b`, finite numbers; one of them may be None, which is no limit.

    Raises
    ------
    TypeError, ValueError
        If a limit is not a finite number, there is none, or ``min_value`` is not below
        ``max_value``; on the first call, if float32 cannot hold a limit, or tell both apart.

    Notes
    -----
    Shapes: any, unchanged. The derivative at a limit is 0, as in `ReLU`; NaN stays NaN. Keras's
    ``ReLU(max_value=6)`` is ``Clip(0, 6)``, PyTorch's ``Hardtanh`` is ``Clip(-1, 1)``.
    NumPy reference: `deepfs.reference.clip`.

    References
    ----------
    Krizhevsky, "Convolutional deep belief networks on CIFAR-10", 2010 (ReLU6).

    Examples
    --------
    >>> from deepfs.layers import Clip
    >>> Clip(0, 6)(np.array([-1.0, 2.0, 8.0]))
    array([0., 2., 6.])
    """

    min_value: float | None
    max_value: float | None

    kind = activation.clip

    def __post_init__(self) -> None:
        if self.min_value is not None:
            self.min_value = number(self.min_value, "min_value", "(-inf, inf)")
        if self.max_value is not None:
            self.max_value = number(self.max_value, "max_value", "(-inf, inf)")
        if self.min_value is None and self.max_value is None:
            raise ValueError("Clip must have min_value, max_value or both, got None and None")
        low, high = self._numbers()
        if low >= high:
            raise ValueError(f"min_value must be below max_value, got {low} and {high}")

    def _numbers(self) -> tuple[float, ...]:
        low, high = self.min_value, self.max_value
        return -inf if low is None else low, inf if high is None else high

    def _build(self, in_shape: Shape, dtype: np.dtype[Any]) -> None:
        self._check_holds(dtype, *(limit for limit in self._numbers() if abs(limit) < inf))
        low, high = np.array(self._numbers(), dtype)
        if low == high:
            raise ValueError(f"{self.label} computes in {dtype}, in which both limits are {low}")


@dataclass(eq=False)
class LeakyReLU(Elementwise):
    r"""Leaky rectified linear unit (LeakyReLU): a small slope for negative numbers.

    .. math::
        y = x \text{ where } x > 0, \text{ else } s x, \quad
        dx = dy \text{ where } x > 0, \text{ else } s\, dy

    Parameters
    ----------
    slope : float
        Slope :math:`s` for x below 0, any finite number.

    Raises
    ------
    TypeError, ValueError
        If ``slope`` is not a finite number, or, on the first call, too large for float32.

    Notes
    -----
    Shapes: any, unchanged. The derivative at 0 is the slope; NaN stays NaN.
    NumPy reference: `deepfs.reference.leaky_relu`.

    References
    ----------
    Maas, Hannun and Ng, "Rectifier nonlinearities improve neural network acoustic models", 2013.

    Examples
    --------
    >>> from deepfs.layers import LeakyReLU
    >>> LeakyReLU(0.1)(np.array([-1.0, 2.0]))
    array([-0.1,  2. ])
    """

    slope: float = 0.01

    kind = activation.leaky_relu

    def __post_init__(self) -> None:
        self.slope = number(self.slope, "slope", "(-inf, inf)")

    def _numbers(self) -> tuple[float, ...]:
        return (self.slope,)


@dataclass(eq=False)
class ELU(Elementwise):
    r"""Exponential linear unit (ELU): negative numbers approach -alpha.

    .. math::
        y = x \text{ where } x > 0, \text{ else } \alpha (e^x - 1), \quad
        dx = dy \text{ where } x > 0, \text{ else } dy\, (y + \alpha)

    Parameters
    ----------
    alpha : float
        Minus the lowest value, at least 0.

    Raises
    ------
    TypeError, ValueError
        If ``alpha`` is not a finite number of at least 0, or, on the first call, too large for
        float32.

    Notes
    -----
    Shapes: any, unchanged. The derivative at 0 is alpha; NaN stays NaN. The definition is that of
    ONNX, Keras and PyTorch: alpha multiplies the whole negative side.
    NumPy reference: `deepfs.reference.elu`.

    References
    ----------
    Clevert, Unterthiner and Hochreiter, "Fast and accurate deep network learning by exponential
    linear units (ELUs)", 2015, arXiv:1511.07289.

    Examples
    --------
    >>> from deepfs.layers import ELU
    >>> ELU()(np.array([-1e4, 2.0]))
    array([-1.,  2.])
    """

    alpha: float = 1.0

    kind = activation.elu

    def __post_init__(self) -> None:
        self.alpha = number(self.alpha, "alpha", "[0, inf)")

    def _numbers(self) -> tuple[float, ...]:
        return (self.alpha,)


@dataclass(eq=False)
class SELU(Elementwise):
    r"""Scaled exponential linear unit (SELU): pulls mean and variance towards 0 and 1.

    .. math::
        y = \lambda x \text{ where } x > 0, \text{ else } \lambda \alpha (e^x - 1), \quad
        dx = \lambda\, dy \text{ where } x > 0, \text{ else } dy\, (y + \lambda \alpha)

    Parameters
    ----------
    alpha : float
        :math:`\alpha`, at least 0.
    scale : float
        :math:`\lambda`, above 0; ONNX calls it gamma.

    Raises
    ------
    TypeError, ValueError
        If a setting is not a finite number in its range, or, on the first call, one of them or
        their product is too large for float32.

    Notes
    -----
    Shapes: any, unchanged. With the constants of the paper, the default, an input of mean 0 and
    variance 1 keeps both. Weights of the layers before must have mean 0 and variance 1 / fan_in:
    `deepfs.initializers.LecunNormal`. Other constants are as in ONNX.
    NumPy reference: `deepfs.reference.selu`.

    References
    ----------
    Klambauer et al., "Self-normalizing neural networks", 2017, arXiv:1706.02515.

    Examples
    --------
    >>> from deepfs.layers import SELU
    >>> SELU()(np.array([-1e4, 1.0])).round(4)
    array([-1.7581,  1.0507])
    """

    alpha: float = field(default=SELU_ALPHA, metadata={"omitted": SELU_ALPHA})
    scale: float = field(default=SELU_SCALE, metadata={"omitted": SELU_SCALE})

    def __post_init__(self) -> None:
        self.alpha = number(self.alpha, "alpha", "[0, inf)")
        self.scale = number(self.scale, "scale", "(0, inf)")

    @property
    def _published(self) -> bool:
        """Whether the constants are those in the kernel, which has them to more digits."""
        return (self.alpha, self.scale) == (SELU_ALPHA, SELU_SCALE)

    @property
    def kind(self) -> int:  # type: ignore[override]
        return activation.selu if self._published else activation.scaled_elu

    def _numbers(self) -> tuple[float, ...]:
        return () if self._published else (self.scale, self.scale * self.alpha)

    def _build(self, in_shape: Shape, dtype: np.dtype[Any]) -> None:
        self._check_holds(dtype, self.alpha, self.scale, self.scale * self.alpha)


@dataclass(eq=False)
class Softplus(Elementwise):
    r"""Softplus activation: a smooth ReLU.

    .. math:: y = \ln(1 + e^x), \quad dx = dy\, \frac{1}{1 + e^{-x}} = dy\, (1 - e^{-y})

    Notes
    -----
    Shapes: any, unchanged. Computed as :math:`\max(x, 0) + \ln(1 + e^{-|x|})`, which cannot
    overflow and keeps all digits far below 0. (PyTorch returns x itself above its ``threshold`` of
    20, which is 2e-9 less.) NumPy reference: `deepfs.reference.softplus`.

    References
    ----------
    Dugas et al., "Incorporating second-order functional knowledge for better option pricing", 2001.

    Examples
    --------
    >>> from deepfs.layers import Softplus
    >>> Softplus()(np.array([-1e4, 0.0, 1e4])).round(4)
    array([0.000e+00, 6.931e-01, 1.000e+04])
    """

    kind = activation.softplus
