"""Regularizers: penalties and constraints that keep weights small.

Pass one or several to a `deepfs.optimizers.Group` of parameters; the optimizer applies them in its
step. ``weight_decay=r`` of an optimizer is short for `L2` of rate r on all weights (in AdamW, Lion
and LAMB: `WeightDecay`). A plain function ``w -> (penalty, gradient)`` is a regularizer, too, see
`Penalty`.
"""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import inf, prod, sqrt
from typing import Any, NamedTuple

import numpy as np

from ._arrays import Array
from ._check import flag, number, shown
from ._elsewhere import explain_absent as _explain_absent
from ._public import public_names as _public_names
from ._settings import ExplainedSettings

__all__ = [
    "L1",
    "L2",
    "ElasticNet",
    "GroupLasso",
    "MaxNorm",
    "Penalty",
    "Regularizer",
    "WeightDecay",
]


class Terms(NamedTuple):
    """The combined effect of regularizers on a step with learning rate lr.

    Attributes
    ----------
    l2, l1 : float
        l2 w + l1 sign(w) is added to the gradient.
    decay : float
        Before the step, the weight is multiplied by 1 - lr decay.
    shrink : float
        After the step, the weight moves towards 0 by lr shrink, and not across.
    limit : float
        Largest norm of the weights of a unit, applied last.
    units : float
        After the step, the weights of a unit are multiplied by 1 - lr units sqrt(d) / norm, and by
        0 where that is negative; d is their number.
    """

    l2: float = 0.0
    l1: float = 0.0
    decay: float = 0.0
    shrink: float = 0.0
    limit: float = inf
    units: float = 0.0

    def penalty(self, absolute: float, squares: float) -> float:
        """Return the penalty for weights with these sums of absolute values and of squares."""
        return (self.l1 + self.shrink) * absolute + self.l2 / 2 * squares


class Regularizer(ExplainedSettings):
    """Base class of regularizers.

    **Extension points.** A regularizer is a dataclass whose fields are its settings. It defines:

    ``terms()``
        Return a `Terms`: the factors that the optimizer's step applies. It receives neither weights
        nor gradients, and must not change the regularizer.
    """

    @abstractmethod
    def terms(self) -> Terms:
        """Return its effect on a step."""


@dataclass
class L2(Regularizer):
    r"""L2 regularization (ridge): add :math:`\frac{\lambda}{2} \sum w^2` to the objective.

    Parameters
    ----------
    rate : float
        :math:`\lambda`, at least 0.

    Raises
    ------
    TypeError, ValueError
        If a setting is of the wrong kind or out of range.

    Notes
    -----
    :math:`\lambda w` is added to the gradient and scaled with it by the optimizer: in Adam, weights
    with large gradients decay less. `WeightDecay` treats all weights alike. NumPy reference:
    `deepfs.reference.l2`.

    Examples
    --------
    >>> L2(1e-4).terms().l2
    0.0001
    """

    rate: float

    def __post_init__(self) -> None:
        self.rate = number(self.rate, "rate", "[0, inf)")

    def terms(self) -> Terms:
        return Terms(l2=self.rate)


@dataclass
class L1(Regularizer):
    r"""L1 regularization (lasso): add :math:`\lambda \sum |w|` to the objective.

    Parameters
    ----------
    rate : float
        :math:`\lambda`, at least 0.
    proximal : bool
        Move each weight towards 0 by :math:`\eta \lambda` after the step (:math:`\eta` is its
        learning rate), and not across: weights become exactly 0, and stay so until a gradient is
        large enough. Otherwise :math:`\lambda \, \mathrm{sign}(w)` is added to the gradient.

    Raises
    ------
    TypeError, ValueError
        If a setting is of the wrong kind or out of range.

    Notes
    -----
    Optimizers that scale each entry of the gradient do not scale the proximal step, like decoupled
    decay. NumPy reference: `deepfs.reference.soft_threshold`.

    References
    ----------
    Parikh and Boyd, "Proximal algorithms", 2014, section 6.5.2.

    Examples
    --------
    >>> from deepfs.optimizers import SGD, Group
    >>> w = {"W": np.array([[0.02, -0.5]])}
    >>> sgd = SGD(0.1, groups=[Group("W", regularizer=L1(1.0, proximal=True))])
    >>> sgd.update(w, {"W": np.zeros((1, 2))})
    >>> w["W"]
    array([[ 0. , -0.4]])
    """

    rate: float
    proximal: bool = False

    def __post_init__(self) -> None:
        self.rate = number(self.rate, "rate", "[0, inf)")
        flag(self.proximal, "proximal")

    def terms(self) -> Terms:
        return Terms(shrink=self.rate) if self.proximal else Terms(l1=self.rate)


@dataclass
class ElasticNet(Regularizer):
    """Elastic net regularization: the sum of the penalties of `L1` and `L2`.

    Parameters
    ----------
    l1, l2 : float
        Their rates, at least 0.
    proximal : bool
        See `L1`.

    Raises
    ------
    TypeError, ValueError
        If a setting is of the wrong kind or out of range.

    References
    ----------
    Zou and Hastie, "Regularization and variable selection via the elastic net", 2005.

    Examples
    --------
    >>> ElasticNet(l1=0.25, l2=0.5).terms().penalty(absolute=2.0, squares=4.0)
    1.5
    """

    l1: float
    l2: float
    proximal: bool = False

    def __post_init__(self) -> None:
        self.l1 = number(self.l1, "l1", "[0, inf)")
        self.l2 = number(self.l2, "l2", "[0, inf)")
        flag(self.proximal, "proximal")

    def terms(self) -> Terms:
        return L1(self.l1, self.proximal).terms()._replace(l2=self.l2)


@dataclass
class GroupLasso(Regularizer):
    r"""Group lasso: add :math:`\lambda \sum_u \sqrt{d_u} \lVert w_u \rVert` over units u.

    The penalty makes all weights of a unit 0 together, so that `deepfs.compress.shrink` removes
    the unit.

    Parameters
    ----------
    rate : float
        :math:`\lambda`, at least 0.
    proximal : bool
        After the step, multiply the weights of a unit by
        :math:`\max(0, 1 - \eta \lambda \sqrt{d_u} / \lVert w_u \rVert)`, where :math:`\eta` is the
        learning rate: units become exactly 0. Otherwise
        :math:`\lambda \sqrt{d_u} \, w_u / \lVert w_u \rVert` is added to the gradient, as that of
        `Penalty` is, and units come near 0 only.

    Raises
    ------
    TypeError, ValueError
        If a setting is of the wrong kind or out of range.

    Notes
    -----
    Units are those of `MaxNorm`; each entry of an array with one axis is a unit. :math:`d_u` is the
    number of weights of a unit. The gradient of a unit of zeros is taken as 0. Before a batch norm,
    which undoes the scale of a filter, penalise the gammas instead, by `L1`. NumPy references:
    `deepfs.reference.group_lasso`, `deepfs.reference.group_soft_threshold`.

    References
    ----------
    Yuan and Lin, "Model selection and estimation in regression with grouped variables", 2006.
    Wen et al., "Learning structured sparsity in deep neural networks", 2016, arXiv:1608.03665.
    Parikh and Boyd, "Proximal algorithms", 2014, section 6.5.4.

    Examples
    --------
    >>> from deepfs.optimizers import SGD, Group
    >>> w = {"W": np.array([[0.03, 3.0], [0.04, 4.0]])}  # two units, of norms 0.05 and 5
    >>> sgd = SGD(0.1, groups=[Group("W", regularizer=GroupLasso(2**0.5, proximal=True))])
    >>> sgd.update(w, {"W": np.zeros((2, 2))})
    >>> w["W"].round(2)
    array([[0.  , 2.88],
           [0.  , 3.84]])
    """

    rate: float
    proximal: bool = False

    def __post_init__(self) -> None:
        self.rate = number(self.rate, "rate", "[0, inf)")
        flag(self.proximal, "proximal")

    def terms(self) -> Terms:
        return Terms(units=self.rate) if self.proximal else Terms()

    def of(self, w: Array, name: str) -> tuple[float, Array]:
        """Return the penalty of the weights, and its gradient; ``name`` is not needed."""
        norm = unit_norms(w)
        scale = self.rate * sqrt(prod(w.shape[axis] for axis in units_of(w.ndim)))
        inverse = np.divide(1, norm, where=norm > 0, out=np.zeros_like(norm))
        return scale * float(norm.sum()), (scale * inverse) * w


@dataclass
class WeightDecay(Regularizer):
    r"""Decoupled weight decay: multiply weights by :math:`1 - \eta \lambda` before each step.

    Parameters
    ----------
    rate : float
        :math:`\lambda`, at least 0. LAMB adds the decay to its step instead.

    Raises
    ------
    TypeError, ValueError
        If a setting is of the wrong kind or out of range.

    References
    ----------
    Loshchilov and Hutter, "Decoupled weight decay regularization", 2019, arXiv:1711.05101.

    Examples
    --------
    >>> WeightDecay(0.01).terms().decay
    0.01
    """

    rate: float

    def __post_init__(self) -> None:
        self.rate = number(self.rate, "rate", "[0, inf)")

    def terms(self) -> Terms:
        return Terms(decay=self.rate)


@dataclass
class MaxNorm(Regularizer):
    """Max-norm constraint: bound the norm of the weights of each unit after each step.

    Parameters
    ----------
    limit : float
        Largest norm, above 0; 3 and 4 are common.

    Raises
    ------
    TypeError, ValueError
        If a setting is of the wrong kind or out of range.

    Notes
    -----
    A unit is a column of a matrix (in, out), or a filter ``weight[i]`` of an array with more axes;
    in a transposed convolution, ``weight[i]`` belongs to an input channel. Nothing is added to the
    objective. NumPy reference: `deepfs.reference.max_norm`.

    References
    ----------
    Srivastava et al., "Dropout", 2014, section 5.1.

    Examples
    --------
    >>> MaxNorm(3).terms().limit
    3.0
    """

    limit: float

    def __post_init__(self) -> None:
        self.limit = number(self.limit, "limit", "(0, inf)")

    def terms(self) -> Terms:
        return Terms(limit=self.limit)


@dataclass
class Penalty(Regularizer):
    """Penalty function: a regularizer as a function of the weights.

    A `deepfs.optimizers.Group` takes such a function as its ``regularizer`` itself.

    Parameters
    ----------
    function : function or None
        ``function(w) -> (penalty, gradient)`` for one array of weights ``w``, which it must not
        change: a number, and its derivatives in an array of the shape of ``w``. A file does not
        have it: a loaded regularizer has None, and must be given a function before the next step.

    Raises
    ------
    TypeError
        If ``function`` is not a function; in a step, if it returns anything else.
    ValueError
        In a step, if the gradient has another shape, or if there is no function.
    FloatingPointError
        In a step, if the gradient is not finite. Nothing is changed by a step that raises.

    Notes
    -----
    The gradient is added to that of the loss before clipping, as if the penalty were a part of the
    loss. (Those of `L1` and `L2` are added after clipping.)

    Examples
    --------
    >>> from deepfs.optimizers import SGD, Group
    >>> sparse = Penalty(lambda w: (np.log1p(w * w).sum(), 2 * w / (1 + w * w)))
    >>> w, groups = {"W": np.array([[1.0, -3.0]])}, [Group("*", regularizer=sparse)]
    >>> SGD(0.5, groups=groups).update(w, {"W": np.zeros((1, 2))})
    >>> w["W"]
    array([[ 0.5, -2.7]])
    """

    function: Callable[[Array], tuple[float, Array]] | None

    def __post_init__(self) -> None:
        if self.function is not None and not callable(self.function):
            raise TypeError(f"function must be a function of weights, got {shown(self.function)}")

    def __deepcopy__(self, memo: dict[int, Any]) -> Penalty:
        """Share the function: a plan compares its groups with a copy of them at every step."""
        return copy.copy(self)

    def terms(self) -> Terms:
        return Terms()

    def of(self, w: Array, name: str) -> tuple[float, Array]:
        """Return the penalty of the weights of this name, and its gradient; check both."""
        if self.function is None:
            raise ValueError(
                f"the regularizer of {name!r} needs a function, got None, because files do not "
                "keep it: assign it, group.regularizer = function"
            )
        given = w.view()
        given.flags.writeable = False
        result: Any = self.function(given)
        if not isinstance(result, tuple) or len(result) != 2:
            raise TypeError(
                f"the regularizer of {name!r} must return (penalty, gradient), got {shown(result)}"
            )
        penalty, gradient = float(result[0]), np.asarray(result[1])
        if gradient.shape != w.shape or gradient.dtype.kind not in "fiu":
            raise ValueError(
                f"the regularizer of {name!r} must return a gradient {w.shape}, "
                f"got {gradient.dtype} {gradient.shape}"
            )
        return penalty, gradient


def units_of(ndim: int) -> tuple[int, ...]:
    """Return the axes over which the weights of a unit lie, of an array with so many axes."""
    return (0,) if ndim == 2 else tuple(range(1, ndim))


def unit_norms(w: Array) -> Array:
    """Return the norm of the weights of each unit, in double precision, to divide them by."""
    squares = np.square(w, dtype=np.float64)
    norms: Array = np.sqrt(squares.sum(axis=units_of(w.ndim), keepdims=True))
    return norms


def from_function(regularizer: Any) -> Any:
    """Return a regularizer of a plain function; return anything else as it is."""
    if isinstance(regularizer, (Regularizer, type)) or not callable(regularizer):
        return regularizer
    return Penalty(regularizer)


def terms_of(regularizers: Iterable[Regularizer]) -> Terms:
    """Return the combined effect of several: rates are added, the lowest limit holds."""
    total = Terms()
    for regularizer in regularizers:
        new = regularizer.terms()
        l2, l1, decay, shrink = (a + b for a, b in zip(total[:4], new[:4], strict=True))
        limit, units = min(total.limit, new.limit), total.units + new.units
        total = Terms(l2, l1, decay, shrink, limit, units)
    return total


def __dir__() -> list[str]:
    return _public_names(globals())


_explain_absent(__name__)
